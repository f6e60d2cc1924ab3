"""A live endpoint on Azure, without Azure: what it keeps."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from mlops_runtime.cloud.live import EARLY, Live, identity

from ..conftest import SLUG_FOLDER, TEMPLATE


class Operations:
    """Gives another token each time, as the Azure CLI does, whose credential keeps none."""

    def __init__(self, **given: Any) -> None:
        self.asked, self.given = 0, given
        self.ends: dict[str, float] = {}

    def get_keys(self, name: str) -> Any:
        assert name == "flights"
        self.asked += 1
        time.sleep(0.01)
        return SimpleNamespace(**{key: f"{value}-{self.asked}" for key, value in self.given.items()}, **self.ends)


def live(operations: Operations) -> Live:
    own = SimpleNamespace(name="flights", endpoint={"name": "flights", "identity": {"type": "system_assigned"}})
    client = SimpleNamespace(online_endpoints=operations, online_deployments=None)
    settings: Any = SimpleNamespace(deployment=own)
    return Live(settings, client)  # type: ignore[arg-type]


def test_a_token_is_asked_for_once_and_again_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = Operations(access_token="token")
    operations.ends = {"expiry_time_utc": time.time() + 3600}
    one = live(operations)
    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(one.token) for _ in range(32)]} == {"token-1"}
    end = operations.ends["expiry_time_utc"]
    monkeypatch.setattr("mlops_runtime.cloud.live.time.time", lambda: end - EARLY)
    assert one.token() == "token-2"


def test_a_key_does_not_end() -> None:
    one = live(Operations(primary_key="key"))
    assert [one.token(), one.token()] == ["key-1", "key-1"]


@pytest.mark.parametrize(
    ("environment", "workspaces", "whose"),
    [("dev", "separate", "dev"), ("staging", "separate", "staging"), ("dev", "one", "prod"), ("prod", "one", "prod")],
)
def test_containers_are_who_infrastructure_made_for_their_environment(
    environment: str, workspaces: str, whose: str
) -> None:
    settings: Any = SimpleNamespace(
        root=TEMPLATE / SLUG_FOLDER,
        environment=environment,
        project=SimpleNamespace(name="taxi-fares"),
        registry=SimpleNamespace(subscription="s", resource_group="g"),
        infrastructure=SimpleNamespace(workspaces=workspaces),
    )
    group = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity"
    which = f"{group}/userAssignedIdentities/id-taxifares-{whose}-endpoint"
    wanted = {"identity.type": "user_assigned", "identity.user_assigned_identities": [{"resource_id": which}]}
    assert identity(settings) == wanted
