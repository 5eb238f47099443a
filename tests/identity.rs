//! Every source of credentials against a stand-in on the loopback, and what happens when credentials end.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::{Grant, Options, Provider, Who};
use maxstorage::session::Session;
use support::{Exchange, Peer};

const SESSION: &str = r#"{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,
    "DataSchema":{"DataColumns":[{"Name":"a","Type":"bigint","Nullable":true}],"PartitionColumns":[]}}"#;

/// A directory for one test, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("maxstorage-identity-{}-{name}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Place(place)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn program(&self, name: &str, text: &str) -> String {
        let path = self.file(name, text);
        fs::set_permissions(Path::new(&path), fs::Permissions::from_mode(0o700)).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn later(life: Duration) -> String {
    httpdate_to_iso(SystemTime::now() + life)
}

/// `2026-11-28T07:00:00Z`, by way of a date in words.
fn httpdate_to_iso(time: SystemTime) -> String {
    let text = httpdate::fmt_http_date(time);
    let words: Vec<&str> = text.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == words[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", words[3], words[1], words[4])
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

/// Who signed the request, from its headers: AccessKey id and STS token, or `bearer` and the token.
fn caller(head: &str) -> (String, String) {
    if let Some(token) = header(head, "x-odps-bearer-token") {
        assert!(header(head, "authorization").is_none());
        return ("bearer".to_owned(), token.to_owned());
    }
    let authorization = header(head, "authorization").expect("a signature").strip_prefix("ODPS ").unwrap();
    let id = authorization.split([':', '/']).next().unwrap();
    (id.to_owned(), header(head, "authorization-sts-token").unwrap_or_default().to_owned())
}

/// A service that plans for everybody whose id is accepted.
fn service(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Peer {
    Peer::start(move |exchange, _| {
        if accepts(&caller(&exchange.head).0) {
            exchange.json("201 Created", SESSION);
        } else {
            let no = r#"{"Code":"AuthenticationRequestExpired","Message":"these have expired"}"#;
            exchange.json("401 Unauthorized", no);
        }
    })
}

/// Options of a peer without its AccessKey, with others.
fn options(peer: &Peer, pairs: &[(&str, &str)]) -> Options {
    let mut options = peer.options();
    for (key, value) in [("access_key_id", ""), ("access_key_secret", "")].iter().chain(pairs) {
        options.set(key, value).unwrap();
    }
    options
}

fn open(options: &Options) -> Result<Session, Error> {
    Session::open(&Client::open(options)?, options)
}

fn callers(peer: &Peer) -> Vec<(String, String)> {
    peer.heads().iter().map(|head| caller(head)).collect()
}

fn pair(id: &str, token: &str) -> (String, String) {
    (id.to_owned(), token.to_owned())
}

#[test]
fn a_bearer_token_is_sent_and_nothing_is_signed() {
    let peer = service(|_| true);
    open(&options(&peer, &[("bearer_token", "tok.en")])).unwrap();
    assert_eq!(callers(&peer), [pair("bearer", "tok.en")]);
}

// --------------------------------------------------------------------------------------------------------------------- profiles

#[test]
fn profiles_of_both_files() {
    let place = Place::new("profiles");
    let ini = place.file(
        "credentials",
        "[default]\naccess_key_id = ini\naccess_key_secret = s\n[b]\ntype=bearer\nbearer_token=tok\n",
    );
    let tool = place.file(
        "config.json",
        r#"{"current":"x","profiles":[{"name":"x","mode":"StsToken","access_key_id":"cli","access_key_secret":"s","sts_token":"t"}]}"#,
    );
    let peer = service(|_| true);
    open(&options(&peer, &[("credentials", "profile"), ("credentials.file", &ini)])).unwrap();
    open(&options(&peer, &[("credentials", "profile"), ("credentials.file", &ini), ("credentials.profile", "b")]))
        .unwrap();
    open(&options(&peer, &[("credentials", "profile"), ("credentials.file", &tool)])).unwrap();
    assert_eq!(callers(&peer), [pair("ini", ""), pair("bearer", "tok"), pair("cli", "t")]);
    for (file, name) in [(ini.as_str(), "absent"), ("/nonexistent/credentials", "")] {
        let bad =
            options(&peer, &[("credentials", "profile"), ("credentials.file", file), ("credentials.profile", name)]);
        let error = Client::open(&bad).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOption, "at open, and not with the first request: {error}");
        assert!(error.message().contains(file), "{error}");
    }
}

#[test]
fn a_profile_that_was_renewed_on_disk_is_read_again_after_a_refusal() {
    let place = Place::new("rotated");
    let text = |id: &str| format!("[default]\naccess_key_id = {id}\naccess_key_secret = s\n");
    let file = place.file("credentials", &text("first"));
    let good = Arc::new(std::sync::Mutex::new("first"));
    let accepted = Arc::clone(&good);
    let peer = service(move |id| id == *accepted.lock().unwrap());
    let options = options(&peer, &[("credentials", "profile"), ("credentials.file", &file)]);
    let client = Client::open(&options).unwrap();
    Session::open(&client, &options).unwrap();
    *good.lock().unwrap() = "second";
    place.file("credentials", &text("second"));
    Session::open(&client, &options).unwrap();
    let ids: Vec<String> = callers(&peer).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["first", "first", "second"]);
}

// ---------------------------------------------------------------------------------------------------------------------- machine

/// A metadata service. `hardened`: it answers nobody without a session token; `old`: it knows no session tokens.
fn metadata(hardened: bool, old: bool) -> Peer {
    Peer::start(move |exchange, _| {
        let token = header(&exchange.head, "X-aliyun-ecs-metadata-token").map(str::to_owned);
        let answer = |exchange: &mut Exchange, status: &str, body: &str| exchange.answer(status, "", body.as_bytes());
        let method = exchange.head.split(' ').next().unwrap().to_owned();
        match (method.as_str(), exchange.path()) {
            ("PUT", "/latest/api/token") if !old => {
                assert_eq!(header(&exchange.head, "X-aliyun-ecs-metadata-token-ttl-seconds"), Some("21600"));
                answer(exchange, "200 OK", "session-token");
            }
            ("GET", path) if !hardened || token.as_deref() == Some("session-token") => match path {
                "/latest/meta-data/ram/security-credentials/" => answer(exchange, "200 OK", "the-role"),
                "/latest/meta-data/ram/security-credentials/the-role" => {
                    let end = later(Duration::from_secs(3600));
                    let body = format!(
                        r#"{{"AccessKeyId":"STS.ecs","AccessKeySecret":"s","Expiration":"{end}","SecurityToken":"t","Code":"Success"}}"#
                    );
                    answer(exchange, "200 OK", &body);
                }
                _ => answer(exchange, "404 Not Found", ""),
            },
            ("GET", _) => answer(exchange, "403 Forbidden", ""),
            _ => answer(exchange, "404 Not Found", ""),
        }
    })
}

#[test]
fn the_role_of_the_machine_in_all_modes_of_the_metadata_service() {
    for (hardened, old, role, required, works) in [
        (true, false, "", "false", true),
        (true, false, "the-role", "true", true),
        (false, true, "", "false", true),
        (false, true, "", "true", false),
        (false, false, "another-role", "false", false),
    ] {
        let peer = service(|_| true);
        let machine = metadata(hardened, old);
        let endpoint = format!("http://{}", machine.address);
        let more = [
            ("credentials", "ecs_ram_role"),
            ("ecs.metadata_endpoint", endpoint.as_str()),
            ("ecs.role_name", role),
            ("ecs.token_required", required),
            // The metadata service is never reached through a proxy; this one would not answer.
            ("proxy", ""),
        ];
        match open(&options(&peer, &more)) {
            Ok(_) => assert!(works && callers(&peer) == [pair("STS.ecs", "t")]),
            Err(error) => assert!(!works && error.message().contains("metadata service"), "{error}"),
        }
        assert!(machine.heads().iter().any(|head| head.starts_with("PUT")));
    }
}

#[test]
fn the_metadata_service_is_reached_without_the_proxy() {
    let machine = metadata(true, false);
    let proxy = service(|_| true);
    let (endpoint, through) = (format!("http://{}", machine.address), format!("http://{}", proxy.address));
    let mut options = options(&proxy, &[("credentials", "ecs_ram_role"), ("ecs.metadata_endpoint", &endpoint)]);
    options.set("data_endpoint", "http://storage.example.test").unwrap();
    options.set("proxy", &through).unwrap();
    open(&options).unwrap();
    assert_eq!(callers(&proxy), [pair("STS.ecs", "t")]);
    assert!(machine.heads().iter().all(|head| head.split(' ').nth(1).unwrap().starts_with("/latest/")));
}

// ------------------------------------------------------------------------------------------------------------------------ roles

/// A Security Token Service that notes the forms it gets.
fn sts(forms: Arc<std::sync::Mutex<Vec<String>>>) -> Peer {
    Peer::start(move |exchange, number| {
        assert!(exchange.head.starts_with("POST / HTTP/1.1"), "{}", exchange.head);
        let form = String::from_utf8(exchange.body.clone()).unwrap();
        let denied = form.contains("role%2Fforbidden");
        forms.lock().unwrap().push(form);
        if denied {
            let no = r#"{"RequestId":"R-7","HostId":"sts","Code":"NoPermission","Message":"You may not assume it"}"#;
            return exchange.answer("403 Forbidden", "", no.as_bytes());
        }
        let end = later(Duration::from_secs(3600));
        let body = format!(
            r#"{{"RequestId":"R","AssumedRoleUser":{{"Arn":"a"}},"Credentials":{{"SecurityToken":"t{number}","AccessKeyId":"STS.{number}",
                "AccessKeySecret":"s","Expiration":"{end}"}}}}"#
        );
        exchange.answer("200 OK", "", body.as_bytes());
    })
}

#[test]
fn a_role_is_assumed_by_an_access_key_and_by_a_chain_of_profiles() {
    let place = Place::new("roles");
    let forms = Arc::default();
    let (peer, sts) = (service(|_| true), sts(Arc::clone(&forms)));
    let endpoint = format!("http://{}", sts.address);
    let arn = "acs:ram::1:role/reader";
    let role = [("credentials", "ram_role_arn"), ("role.arn", arn), ("sts.endpoint", endpoint.as_str())];
    let keys = [("access_key_id", "base"), ("access_key_secret", "CANARY"), ("role.external_id", "x")];
    open(&options(&peer, &[&role[..], &keys].concat())).unwrap();
    let tool = format!(
        r#"{{"current":"c","profiles":[{{"name":"a","mode":"AK","access_key_id":"first","access_key_secret":"s"}},
        {{"name":"b","mode":"ChainableRamRoleArn","source_profile":"a","ram_role_arn":"r1","sts_endpoint":"{endpoint}"}},
        {{"name":"c","mode":"ChainableRamRoleArn","source_profile":"b","ram_role_arn":"r2","sts_endpoint":"{endpoint}"}}]}}"#
    );
    let tool = place.file("config.json", &tool);
    open(&options(&peer, &[("credentials", "profile"), ("credentials.file", &tool)])).unwrap();
    assert_eq!(callers(&peer), [pair("STS.0", "t0"), pair("STS.2", "t2")]);
    let noted = forms.lock().unwrap().clone();
    for (form, parts) in noted.iter().zip([
        ["Action=AssumeRole&", "AccessKeyId=base&", "RoleArn=acs%3Aram%3A%3A1%3Arole%2Freader&", "ExternalId=x&"],
        ["Action=AssumeRole&", "AccessKeyId=first&", "RoleArn=r1&", "DurationSeconds=3600&"],
        ["Action=AssumeRole&", "AccessKeyId=STS.1&", "RoleArn=r2&", "SecurityToken=t1&"],
    ]) {
        assert!(parts.iter().all(|part| form.contains(part)) && form.contains("&Signature="), "{form}");
        assert!(!form.contains("CANARY"));
    }
    let forbidden = [("role.arn", "acs:ram::1:role/forbidden")];
    let error = open(&options(&peer, &[&role[..], &keys, &forbidden].concat())).unwrap_err();
    assert_eq!((error.kind(), error.server().request_id.as_str()), (Kind::PermissionDenied, "R-7"), "{error}");
}

#[test]
fn a_role_is_assumed_with_an_oidc_token_that_is_read_anew() {
    let place = Place::new("oidc");
    let forms = Arc::default();
    let sts = sts(Arc::clone(&forms));
    let peer = service(|id| id == "STS.1");
    let file = place.file("token", "tok-1\n");
    let endpoint = format!("http://{}", sts.address);
    let options = options(
        &peer,
        &[
            ("credentials", "oidc"),
            ("role.arn", "r"),
            ("oidc.provider_arn", "p"),
            ("oidc.token_file", &file),
            ("sts.endpoint", &endpoint),
        ],
    );
    let client = Client::open(&options).unwrap();
    place.file("token", "tok-2");
    Session::open(&client, &options).unwrap();
    let forms = forms.lock().unwrap();
    assert!(
        forms.iter().all(|form| form.contains("OIDCToken=tok-2") && form.contains("OIDCProviderArn=p")),
        "{forms:?}"
    );
    assert!(forms.iter().all(|form| !form.contains("Signature=")));
    assert_eq!(callers(&peer), [pair("STS.0", "t0"), pair("STS.1", "t1")], "refused once, then with new ones");
}

// --------------------------------------------------------------------------------------------------------------------- programs

#[test]
fn a_program_prints_credentials_and_no_shell_is_between() {
    let place = Place::new("process");
    let program = place.program(
        "print me",
        "#!/bin/sh\n[ \"$1\" = 'a b;$HOME' ] && [ $# = 1 ] || exit 3\necho noise CANARY >&2\n\
         printf '{\"AccessKeyId\":\"printed\",\"AccessKeySecret\":\"s\",\"SecurityToken\":\"t\"}'\n",
    );
    let peer = service(|_| true);
    let line = format!("'{program}' 'a b;$HOME'");
    open(&options(&peer, &[("credentials", "process"), ("credentials.process", &line)])).unwrap();
    assert_eq!(callers(&peer), [pair("printed", "t")]);
    let fails = place.program("fails", "#!/bin/sh\necho CANARY; echo CANARY >&2; exit 3\n");
    let chatty = place.program("chatty", "#!/bin/sh\necho CANARY\n");
    let slow = place.program("slow", "#!/bin/sh\nexec sleep 30\n");
    let flood = place.program("flood", "#!/bin/sh\nexec yes CANARY\n");
    for (line, part) in [
        (fails.as_str(), "exit status: 3"),
        (&chatty, "not a JSON object"),
        (&slow, "credentials.timeout_ms"),
        (&flood, "too long"),
        ("/nonexistent/program", "cannot be run"),
    ] {
        let start = SystemTime::now();
        let more = [
            ("credentials", "process"),
            ("credentials.process", line),
            ("credentials.timeout_ms", "700"),
            ("retry.max_attempts", "1"),
        ];
        let error = open(&options(&peer, &more)).unwrap_err();
        assert!(error.message().contains(part) && !error.message().contains("CANARY"), "{line}: {error}");
        assert!(start.elapsed().unwrap() < Duration::from_secs(10));
    }
}

// ------------------------------------------------------------------------------------------------------------------- the SDKs' URI

/// A credentials service: the n-th answer is that of `answer`, with the status.
fn vault(answer: impl Fn(usize) -> (&'static str, String) + Send + Sync + 'static) -> Peer {
    Peer::start(move |exchange, number| {
        assert!(exchange.head.starts_with("GET /creds?role=CANARY HTTP/1.1"), "{}", exchange.head);
        let (status, body) = answer(number);
        exchange.answer(status, "", body.as_bytes());
    })
}

fn temporary(id: &str, life: Duration) -> String {
    let end = later(life);
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","AccessKeySecret":"s","SecurityToken":"t","Expiration":"{end}"}}"#
    )
}

fn uri_of(vault: &Peer) -> String {
    format!("http://{}/creds?role=CANARY", vault.address)
}

#[test]
fn a_credentials_uri_is_asked_and_past_the_proxy() {
    let place = Place::new("uri");
    let vault = vault(|_| ("200 OK", temporary("STS.uri", Duration::from_secs(3600))));
    let uri = uri_of(&vault);
    let peer = service(|_| true);
    let tool =
        format!(r#"{{"current":"u","profiles":[{{"name":"u","mode":"CredentialsURI","credentials_uri":"{uri}"}}]}}"#);
    let tool = place.file("config.json", &tool);
    let through = format!("http://{}", peer.address);
    let by_option = [("credentials", "uri"), ("credentials.uri", uri.as_str())];
    let by_proxy = [("data_endpoint", "http://storage.example.test"), ("proxy", through.as_str())];
    let by_profile = [("credentials", "profile"), ("credentials.file", tool.as_str())];
    open(&options(&peer, &by_option)).unwrap();
    open(&options(&peer, &[by_option, by_proxy].concat())).unwrap();
    open(&options(&peer, &by_profile)).unwrap();
    assert_eq!(callers(&peer), vec![pair("STS.uri", "t"); 3]);
    assert_eq!(vault.heads().len(), 3);
}

#[test]
fn credentials_of_a_uri_are_renewed_ahead_of_their_end_and_after_a_refusal() {
    // Times are written in whole seconds, so four seconds may be three.
    let life = |number: usize| Duration::from_secs(if number == 0 { 4 } else { 3600 });
    let vault = vault(move |number| ("200 OK", temporary(&format!("key{number}"), life(number))));
    let peer = service(|id| id != "key1");
    let options = options(&peer, &[("credentials", "uri"), ("credentials.uri", &uri_of(&vault))]);
    let client = Client::open(&options).unwrap();
    let ids = || callers(&peer).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    Session::open(&client, &options).unwrap();
    assert_eq!(ids(), ["key0"]);
    let ahead = SystemTime::now();
    while vault.heads().len() < 2 {
        assert!(ahead.elapsed().unwrap() < Duration::from_secs(4), "nobody asked ahead of the end");
        Session::open(&client, &options).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    while ids().last().is_some_and(|id| id == "key0") {
        Session::open(&client, &options).unwrap();
    }
    let seen = ids();
    assert_eq!(seen[seen.len() - 2..], ["key1", "key2"], "refused once, then with new ones");
    assert_eq!(vault.heads().len(), 3);
}

#[test]
fn what_a_credentials_uri_may_answer_instead() {
    let peer = service(|_| true);
    for (status, body, kind, part) in [
        (
            "200 OK",
            r#"{"Code":"Failed","AccessKeyId":"i","AccessKeySecret":"CANARY"}"#,
            Kind::Unauthenticated,
            "Failed",
        ),
        ("200 OK", "CANARY", Kind::Unauthenticated, "not a JSON object"),
        ("200 OK", r#"{"AccessKeyId":"i"}"#, Kind::Unauthenticated, "no AccessKeyId"),
        ("404 Not Found", "", Kind::Unauthenticated, "credentials URI of 127.0.0.1:"),
        ("503 Service Unavailable", "", Kind::Unavailable, "credentials URI of 127.0.0.1:"),
        ("501 Not Implemented", "", Kind::Unauthenticated, "credentials URI of 127.0.0.1:"),
        ("302 Found", "", Kind::Unauthenticated, "redirects elsewhere (HTTP 302), which is not followed"),
    ] {
        let vault = vault(move |_| (status, body.to_owned()));
        let uri = uri_of(&vault);
        let attempts = if kind.is_retryable() { "1" } else { "5" };
        let more = [("credentials", "uri"), ("credentials.uri", uri.as_str()), ("retry.max_attempts", attempts)];
        let error = open(&options(&peer, &more)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(part) && !error.message().contains("CANARY"), "{error}");
        assert_eq!(vault.heads().len(), 1, "and no other version of the Storage API is tried: {error}");
    }
    let old = vault(|_| {
        let body =
            r#"{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2020-01-01T00:00:00Z"}"#;
        ("200 OK", body.to_owned())
    });
    let error = open(&options(&peer, &[("credentials", "uri"), ("credentials.uri", &uri_of(&old))])).unwrap_err();
    assert!(error.message().contains("expired already"), "{error}");
    for uri in ["", "CANARY", "ftp://h/CANARY", "http://", "unix:/CANARY", "file:///CANARY"] {
        let own = [("credentials", "uri"), ("credentials.uri", uri)];
        let role =
            [("credentials", "ram_role_arn"), ("role.arn", "r"), ("role.source", "uri"), ("credentials.uri", uri)];
        for more in [own.as_slice(), role.as_slice()] {
            let error = Client::open(&options(&peer, more)).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidOption, "at open, and not with the first request: {error}");
            assert!(!error.message().contains("CANARY"), "{error}");
        }
    }
    assert!(peer.heads().is_empty());
}

// ----------------------------------------------------------------------------------------------------------- providers, refusals

fn provider(supply: impl Fn(usize) -> Result<Grant, Error> + Send + Sync + 'static) -> (Provider, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    (Provider::new(move || supply(count.fetch_add(1, Ordering::SeqCst) + 1)), calls)
}

fn key(number: usize) -> Grant {
    Grant { who: Who::Key { id: format!("key{number}"), secret: "s".to_owned().into(), token: None }, expires: None }
}

#[test]
fn a_refused_request_is_made_once_more_with_new_credentials_and_then_fails() {
    for (accepted, expected) in [("key2", &["key1", "key2"][..]), ("nobody", &["key1", "key2"])] {
        let peer = service(move |id| id == accepted);
        let (provider, calls) = provider(|number| Ok(key(number)));
        let mut options = options(&peer, &[]);
        options.set_provider(Some(provider));
        let opened = open(&options);
        assert_eq!(opened.is_ok(), accepted == "key2");
        if let Err(error) = opened {
            assert_eq!((error.kind(), error.attempts()), (Kind::Unauthenticated, 2), "{error}");
        }
        assert_eq!(callers(&peer).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn fixed_credentials_are_not_tried_twice() {
    let peer = service(|_| false);
    assert_eq!(open(&peer.options()).unwrap_err().kind(), Kind::Unauthenticated);
    assert_eq!(peer.heads().len(), 1);
}

#[test]
fn a_provider_that_fails_for_a_while_is_asked_again_under_the_retry_options() {
    let peer = service(|_| true);
    let (provider, calls) = provider(|number| match number {
        3 => Ok(key(3)),
        _ => Err(Error::new(Kind::Unavailable, "not yet")),
    });
    let mut options = options(&peer, &[]);
    options.set_provider(Some(provider));
    open(&options).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(callers(&peer), [pair("key3", "")]);
}
