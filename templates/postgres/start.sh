# Starts the server by way of the image's entry point.
set -eu
if [ -e "$VOLUME/.first-boot-under-way" ]; then
  # A first boot that was cut off, by a failing script for example, would pass for a whole database the next time.
  rm -rf "$PGDATA"
elif [ -s "$PGDATA/PG_VERSION" ]; then
  # Only a first boot needs it, and the entry point would put the password itself into the server's environment.
  unset POSTGRES_PASSWORD_FILE
fi
exec docker-entrypoint.sh postgres -c config_file=/etc/postgresql/postgresql.conf
