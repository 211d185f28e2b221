{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "nginx.nginx.conf" -}}
# The whole configuration: the image's own writes to places that are read-only here.
# No `user` line, since the server never was root.
worker_processes {{ int64 .Values.workerProcesses }};
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
# Requests under way may finish; one that never ends is cut off in time for a clean exit: the grace period less the
# pause before the signal, and a little.
worker_shutdown_timeout {{ max (sub (int64 .Values.terminationGracePeriodSeconds) 7) 1 }}s;

events {
  worker_connections {{ int64 .Values.workerConnections }};
}

http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  server_tokens off;
  sendfile on;
  keepalive_timeout 65s;
  client_max_body_size {{ .Values.maxBodySize }};

  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;

  server {
    listen 80;
    server_name _;
    root /usr/share/nginx/html;
    index index.html;

    # Probes ask this, since a volume without a page answers 403.
    location = /healthz {
      access_log off;
      return 200;
    }
  }
}
{{ end }}
