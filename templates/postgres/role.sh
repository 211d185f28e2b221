psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -Atqc \
  "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END"
