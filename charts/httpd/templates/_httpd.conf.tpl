{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "httpd.httpd.conf" -}}
# The whole configuration: adding to the image's own one would keep its Listen line as well.
# No User or Group line, since the server never was root.
ServerRoot "/usr/local/apache2"
ServerName localhost
Listen 80
PidFile logs/httpd.pid
ServerTokens Prod
ServerSignature Off
TraceEnable Off

LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule unixd_module modules/mod_unixd.so
LoadModule log_config_module modules/mod_log_config.so
LoadModule reqtimeout_module modules/mod_reqtimeout.so
LoadModule mime_module modules/mod_mime.so
LoadModule dir_module modules/mod_dir.so
LoadModule alias_module modules/mod_alias.so

ServerLimit {{ div (int64 .Values.maxRequestWorkers) 25 }}
ThreadsPerChild 25
MaxRequestWorkers {{ int64 .Values.maxRequestWorkers }}
StartServers 1
MinSpareThreads 25
MaxSpareThreads 75
# The grace period less the pause before the signal, and less the ten seconds in which the server reclaims its processes.
GracefulShutdownTimeout {{ max (sub (int64 .Values.terminationGracePeriodSeconds) 14) 1 }}
RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500

ErrorLog /proc/self/fd/2
LogLevel warn
LogFormat "%h %l %u %t \"%r\" %>s %b" common
CustomLog /proc/self/fd/1 common "expr=%{REQUEST_URI} != '/healthz'"

DocumentRoot "/usr/local/apache2/htdocs"
DirectoryIndex index.html
TypesConfig conf/mime.types
<Directory />
  AllowOverride None
  Require all denied
</Directory>
<Directory "/usr/local/apache2/htdocs">
  Options FollowSymLinks
  AllowOverride None
  Require all granted
</Directory>
<Files ".ht*">
  Require all denied
</Files>

# Probes ask this, since a volume without a page answers 403.
<Location "/healthz">
  Require all granted
</Location>
RedirectMatch 200 "^/healthz$"
{{ end }}
