"""Leaves: how the row of a recipient enters the audience root."""

from datetime import UTC

from tellfirst.domain.recipient import Recipient
from tellfirst.signing.audience import facts_digest, leaf


def leaf_of(row: Recipient, content: str) -> str:
    """Returns the leaf of a recipient, from what its row holds; of one who was forgotten, the leaf that was kept."""
    promised = {f"promise:{step}": at.astimezone(UTC).isoformat() for step, at in row.promises.items()}
    return row.leaf or leaf(
        customer=row.customer,
        subject_key=row.subject_key,
        channel=row.channel,
        locale=row.locale,
        timezone=row.timezone or "",
        address=row.address_digest,
        facts=facts_digest({**row.facts, **promised, "others": row.others}),
        content=content,
        rank=row.rank,
    )
