#!/bin/sh
# Registers what Tellfirst needs on a Temporal cluster: namespace, search attributes, one schedule per trigger.
# Address and namespace come as TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE, the triggers as TELLFIRST_DETECT, where an
# empty one means none; running it again changes nothing.
set -eu

namespace=${TEMPORAL_NAMESPACE:-default}
retention=${TEMPORAL_RETENTION:-30d}
triggers=${TELLFIRST_DETECT-late_delivery}

# Tries a command for about two minutes: a new namespace takes some seconds to reach every part of the cluster.
patiently() {
    attempt=1
    until "$@"; do
        if [ "$attempt" -ge 40 ]; then
            echo "gave up after $attempt attempts: $*" >&2
            return 1
        fi
        attempt=$((attempt + 1))
        sleep 3
    done
}

named_attribute() {
    temporal operator search-attribute create --namespace "$namespace" --name "$1" --type "$2" </dev/null
}

patiently temporal operator cluster health

if ! temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$namespace" --retention "$retention"
fi

# The names and types of tellfirst.contract.SEARCH_ATTRIBUTES; a test compares them.
while read -r name type; do
    patiently named_attribute "$name" "$type"
done <<'ATTRIBUTES'
OutreachStage Keyword
OutreachTrigger Keyword
OutreachReason Keyword
OutreachOwner Keyword
OutreachWaitingOn Keyword
OutreachDeadline Datetime
OutreachRecipients Int
ATTRIBUTES

# Skip: a sweep sees everything that is affected, so a second one beside it finds nothing more.
# A short catch-up window: after an outage one sweep is enough, and the default of a year would start thousands.
for trigger in $triggers; do
    schedule=detect-$trigger
    if temporal schedule describe --namespace "$namespace" --schedule-id "$schedule" >/dev/null 2>&1; then
        echo "schedule $schedule is there"
        continue
    fi
    patiently temporal schedule create \
        --namespace "$namespace" \
        --schedule-id "$schedule" \
        --workflow-id "$schedule" \
        --type Detection \
        --task-queue outreach \
        --interval 15m \
        --overlap-policy Skip \
        --catchup-window 10m \
        --input "{\"trigger\":\"$trigger\"}"
done
echo "Temporal is ready for Tellfirst in namespace $namespace"
