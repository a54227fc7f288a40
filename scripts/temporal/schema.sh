#!/bin/sh
# Brings Temporal's two databases to the schema of this version; running it again changes nothing.
set -eu

: "${POSTGRES_SEEDS:?is not set}" "${SQL_PASSWORD:?is not set}"
versions=/etc/temporal/schema/postgresql/v12

bring() {
    database=$1 folder=$2
    echo "schema of $database"
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" --port 5432 --user temporal --database "$database" \
        setup-schema -v 0.0
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" --port 5432 --user temporal --database "$database" \
        update-schema -d "$versions/$folder/versioned"
}

bring temporal temporal
bring temporal_visibility visibility
echo "both schemas are ready"
