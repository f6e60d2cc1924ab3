"""Templates that Azure itself deploys, in Bicep or ARM: what their deployment stacks need besides what every tool does.

It stands for the plug-in `mlops_runtime.iac` where the tool of the infrastructure brings none.
"""

import uuid

# Stacks and deployments are resources of the subscription; who may write them gets no right on anything else by it.
ROLES = [
    {
        "role": "Azure Deployment Stack Owner",
        "id": "adb29209-aa1d-457b-a786-c913953d2891",
        "at": "subscription",
        "in": ["shared", "dev", "staging", "prod"],
        "reason": "keeps deployment stacks",
    }
]
GUIDS = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")  # the namespace of the function guid()


def caller_role(subscription: str, resource_group: str) -> str:
    """The id that the templates give to the custom role Endpoint Caller."""
    return str(uuid.uuid5(GUIDS, f"/subscriptions/{subscription}-{resource_group}-Endpoint Caller"))
