{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "postgres.first-boot-done.sh" -}}
# The last script of the first boot: from here on the directory holds a whole database.
rm -f "$VOLUME/.first-boot-under-way"
# The entry point reads this script into its own shell, which then becomes the server.
unset POSTGRES_PASSWORD
{{ end }}
