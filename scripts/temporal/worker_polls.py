#!/usr/bin/env python3
"""Exits 0 when the worker of this host asked Temporal for work lately: the health check of the worker."""

import asyncio
import os
import socket
import sys
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

QUEUE = "outreach"
RECENT = timedelta(minutes=2)


async def polls() -> bool:
    """Returns whether a poller of this host was seen on the queue lately; a long poll lasts about a minute."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=5),
    )
    since = datetime.now(UTC) - RECENT
    return any(
        socket.gethostname() in poller.identity and poller.last_access_time.ToDatetime(tzinfo=UTC) >= since
        for poller in answer.pollers
    )


if __name__ == "__main__":
    try:
        healthy = asyncio.run(polls())
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        healthy = False
    sys.stderr.flush()
    # Not sys.exit: the client's threads can abort the interpreter while it ends, which would read as unhealthy.
    os._exit(0 if healthy else 1)
