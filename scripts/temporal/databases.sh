#!/bin/sh
# Makes two roles that cannot read each other's databases; run once by the PostgreSQL image on an empty volume.
set -eu

: "${TEMPORAL_DB_PASSWORD:?is not set}" "${TELLFIRST_DB_PASSWORD:?is not set}"

# The passwords come through the environment, since arguments can be read by every process of the machine.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv temporal TEMPORAL_DB_PASSWORD
\getenv tellfirst TELLFIRST_DB_PASSWORD
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE ROLE tellfirst LOGIN PASSWORD :'tellfirst';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE tellfirst OWNER tellfirst;
REVOKE ALL ON DATABASE temporal, temporal_visibility, tellfirst FROM PUBLIC;
SQL
