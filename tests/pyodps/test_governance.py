"""The official client on a service with all checks on: quotas, users and tables are closed until the statements of the product page open them."""
import json
import pathlib
import subprocess
import time

import pyarrow as pa
import pytest
from odps import errors, options
from odps.accounts import BearerTokenAccount, StsAccount
from odps.apis.storage_api import ReadRowsRequest, SessionRequest, StorageApiArrowClient, TableBatchScanRequest
from odps.maxstorage import MaxStorageClient
from odps.models import Quota

import client
from fixture import SERVER, load

POLICY = (
    '{ "Statement": [{ "Action": [ "odps:List", "odps:Usage"], "Effect": "Allow", '
    '"Resource": ["acs:odps:*:regions/*/quotas/pay-as-you-go"]}], "Version": "1" }'
)


class Service:
    """A service of its own over a root with a table t (id bigint, name string) of 100 rows."""

    def __init__(self, directory, *arguments):
        self.root = directory / "root"
        load(self.root, "local.default.t", pa.Table.from_batches([client.batch(0, 100)]), directory)
        self.log = open(directory / "service.log", "wb")
        command = [SERVER, "serve", "--root", self.root, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = self.process.stdout.readline().split()
        assert ready[:1] == ["ready"], pathlib.Path(self.log.name).read_text()
        self.address = ready[1]

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def strict(tmp_path):
    service = Service(tmp_path, "--profile", "strict")
    yield service
    service.close()


def rows(entry, quota=None):
    """All rows of t, read by a client of version 1; discovery must not go through the cache of another service."""
    api = StorageApiArrowClient(entry, entry.get_table("t"), quota_name=quota, rest_endpoint=entry.endpoint.removesuffix("/api"))
    session = api.create_read_session(TableBatchScanRequest())
    reader = api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=0))
    batches = []
    while (batch := reader.read()) is not None:
        batches.append(batch)
    return sum(batch.num_rows for batch in batches)


def refused(action, kind=errors.NoPermission):
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


def test_pay_as_you_go_is_closed_until_it_is_granted(strict):
    owner = client.entry(strict.address)
    account = owner.run_security_query("whoami")["DisplayName"]
    assert account == "ALIYUN$local@localhost"
    assert rows(owner) == 100
    off = refused(lambda: rows(owner, "pay-as-you-go"))
    owner.run_security_query("set tenant property storage_api_switch=true")
    on = refused(lambda: rows(owner, "pay-as-you-go"))
    assert off != on
    owner.run_security_query(f"create tenant role storage_reader with policy {POLICY}")
    for statement in (f"Add tenant user <{account}>;", f"Grant tenant role <storage_reader> to user <{account}>;"):
        owner.run_security_query(statement)
    assert rows(owner, "pay-as-you-go") == 100
    granted = owner.run_security_query("Show grants for tenant role <storage_reader>;")
    assert granted["Policy"] == json.loads(POLICY)
    assert owner.run_security_query(f"Show grants for tenant user <{account}>;")["Roles"] == ["storage_reader"]
    assert owner.run_security_query("Show principals for tenant [role] <storage_reader>;")["Users"] == [account]
    owner.run_security_query(f"Revoke tenant role storage_reader from user {account}")
    refused(lambda: rows(owner, "pay-as-you-go"))
    assert "no_such_quota" in refused(lambda: rows(owner, "no_such_quota"), errors.InvalidArgument)


def test_the_statements_of_the_page_run_as_sql(strict):
    owner = client.entry(strict.address)

    def run(statement):
        return owner.execute_sql(statement).get_task_result()

    run("set tenant property storage_api_switch=true;")
    run(f"create tenant role storage_reader with policy {POLICY};")
    refused(lambda: rows(owner, "pay-as-you-go"))
    run("Add tenant user ALIYUN$local@localhost; Grant tenant role storage_reader to user ALIYUN$local@localhost;")
    assert rows(owner, "pay-as-you-go") == 100
    assert "quotas/pay-as-you-go: List | Usage" in run("Show grants for tenant role storage_reader;")
    assert "storage_reader" in run("Show grants for tenant user ALIYUN$local@localhost;")
    assert run("Show principals for tenant role storage_reader;") == "ALIYUN$local@localhost"
    # The rights on data hold for SQL as well.
    run("create access key 'alice' secret 'secret' for user RAM$alice; add user RAM$alice")
    run("grant CreateInstance on project local to user RAM$alice; grant Describe on table t to user RAM$alice")
    alice = client.entry(strict.address, "alice", "secret")
    refused(lambda: alice.execute_sql("select * from t"))
    run("grant Select on table t to user RAM$alice")
    alice.execute_sql("select * from t")
    refused(lambda: alice.execute_sql("drop table t"))
    refused(lambda: alice.execute_sql("create table u (a bigint)"))
    run("grant CreateTable on schema default to user RAM$alice")
    alice.execute_sql("create table u (a bigint)")
    alice.execute_sql("insert into u values (1)")
    alice.execute_sql("drop table u")


def test_quotas_are_described(strict):
    owner = client.entry(strict.address)
    quota = owner.get_quota("pay-as-you-go")
    assert (quota.nickname, quota.is_enabled, quota.cpu) == ("pay-as-you-go", True, 1000)
    assert (quota.strategy, quota.scheduler_type, quota.status) == (Quota.Strategy.NoPreempt, "Fair", Quota.Status.ON)
    assert owner.exist_quota("pay-as-you-go") and not owner.exist_quota("nothing")


@pytest.mark.parametrize("version", ["2", "3"])
def test_the_newest_client_names_its_quota_at_discovery_only(strict, version):
    owner = client.entry(strict.address)
    owner.run_security_query("set tenant property storage_api_switch=true")

    def read(quota):
        storage = MaxStorageClient(owner, quota_name=quota, api_version=version)
        session = storage.create_table_read_session("t")
        with session.open_arrow_reader(session.splits[0]) as reader:
            return sum(batch.num_rows for batch in reader)

    assert read(None) == 100
    refused(lambda: read("pay-as-you-go"))
    owner.run_security_query(f"create tenant role storage_reader with policy {POLICY}")
    owner.run_security_query("grant tenant role storage_reader to user ALIYUN$local@localhost")
    assert read("pay-as-you-go") == 100
    wait_for_usage(strict, "pay-as-you-go")


def wait_for_usage(service, quota):
    """Usage is stored once a second, under the quota that the request ran on."""
    command = [SERVER, "usage", "--root", service.root, "--json"]
    for _ in range(50):
        if quota in subprocess.run(command, capture_output=True, text=True, check=True).stdout:
            return
        time.sleep(0.1)
    raise AssertionError(f"no usage of {quota}")


def test_users_roles_and_switches_through_the_client(strict):
    owner = client.entry(strict.address)
    project = owner.get_project()
    owner.run_security_query("create access key 'alice' secret 'secret' for user RAM$alice")
    alice = client.entry(strict.address, "alice", "secret")
    refused(lambda: rows(alice))
    owner.create_user("RAM$local@localhost:alice")
    assert [user.display_name for user in project.users] == ["RAM$local@localhost:alice"]
    assert "Describe" in refused(lambda: rows(alice))
    owner.create_role("reader")
    assert owner.exist_role("reader") and not owner.exist_role("writer")
    owner.run_security_query("grant Describe, Select on table t to role reader")
    assert "Describe" in refused(lambda: rows(alice))
    project.roles["reader"].grant_to("RAM$local@localhost:alice")
    assert rows(alice) == 100
    assert [role.name for role in project.users["RAM$local@localhost:alice"].roles] == ["reader"]
    assert [user.display_name for user in project.roles["reader"].users] == ["RAM$local@localhost:alice"]
    # The policy of the role beats its privileges.
    deny = {"Version": "1", "Statement": [{"Effect": "Deny", "Action": ["odps:Select"], "Resource": ["acs:odps:*:projects/local/tables/t"]}]}
    project.roles["reader"].policy = deny
    assert project.roles["reader"].policy == deny
    assert "4011" in refused(lambda: rows(alice))
    project.roles["reader"].policy = {"Version": "1", "Statement": []}
    assert rows(alice) == 100
    # Switches of the project.
    assert owner.get_security_option("label_security") is False
    owner.set_security_option("label_security", True)
    assert owner.get_project("local").security_options.label_security is True
    owner.run_security_query("set ProjectProtection=true")
    assert "4021" in refused(lambda: rows(alice))
    assert "4021" in refused(lambda: rows(owner))
    owner.run_security_query("set ProjectProtection=false")
    assert rows(alice) == 100
    owner.delete_role("reader")
    refused(lambda: rows(alice))
    refused(lambda: alice.run_security_query("add user RAM$bob"))


def test_bearer_tokens_and_temporary_keys(strict):
    owner = client.entry(strict.address)
    owner.run_security_query("create access key 'STS.1' secret 'secret' token 'ticket' for user RAM$alice; add user RAM$alice")
    owner.run_security_query("grant Describe, Select on table t to user RAM$alice")
    temporary = client.entry(strict.address, account=StsAccount("STS.1", "secret", "ticket"))
    assert rows(temporary) == 100
    wrong = client.entry(strict.address, account=StsAccount("STS.1", "secret", "other"))
    refused(lambda: rows(wrong), errors.Unauthorized)
    everything = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "odps:*", "Resource": "*"}]}
    token = owner.get_project().generate_auth_token(everything, "bearer", 1)
    assert rows(client.entry(strict.address, account=BearerTokenAccount(token))) == 100
    nothing = owner.get_project().generate_auth_token({"Version": "1", "Statement": []}, "bearer", 1)
    refused(lambda: rows(client.entry(strict.address, account=BearerTokenAccount(nothing))))


def test_slots_are_refused_with_the_class_of_the_client(tmp_path):
    service = Service(tmp_path, "--profile", "cloud")
    try:
        owner = client.entry(service.address)
        owner.run_security_query("create quota small slots 0")
        owner.run_security_query("create tenant role small with policy " + POLICY.replace("pay-as-you-go", "small"))
        owner.run_security_query("grant tenant role small to user ALIYUN$local@localhost")
        options.retry_times, before = 0, options.retry_times
        try:
            assert "small" in refused(lambda: rows(owner, "small"), errors.SlotExceeded)
        finally:
            options.retry_times = before
        assert rows(owner) == 100
    finally:
        service.close()


def test_both_clients_work_over_tls(tmp_path, monkeypatch):
    service = Service(tmp_path, "--tls-dev")
    try:
        assert service.address.startswith("https://")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(service.root / "tls/ca.pem"))
        entry = client.entry(service.address)
        assert entry.get_table("t").table_schema.names == ["id", "name"]
        # Discovery answers host and port; the client adds the scheme of the service endpoint.
        api = StorageApiArrowClient(entry, entry.get_table("t"))
        session = api.create_read_session(TableBatchScanRequest())
        assert api.get_read_session(SessionRequest(session.session_id)).session_id == session.session_id
        assert api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=0)).read().num_rows == 100
    finally:
        service.close()
