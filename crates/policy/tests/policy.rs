//! What a policy decides.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use keyward_model::{ClientAddr, ConnectionName, Host, Secret, TargetAddr};
use keyward_policy::{
    Algorithms, ChannelDecision, ChannelKind, ChannelQuery, ChannelSubject, ConfigurationPlace, Connection,
    CredentialSource, FileOperation, HostKeyCheck, HostKeyKnowledge, HostPattern, Inband, LdapTls,
    LogInMeans, Method, PatternPort, PluginStart, Policy, PolicyError, RefusedBy, Target, UserListDefault,
    hash_password,
};
use keyward_trail::{AuditorKey, Recipient, Recipients, TimestampAuthorities};

fn example() -> Policy {
    Policy::load(Path::new("../../examples/keyward.toml")).unwrap()
}

fn parse(document: &str) -> Policy {
    Policy::parse(document, Path::new("/base"), "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn connection(extra: &str) -> Connection {
    let policy = parse(&format!(
        "[[channel-policy]]\nname = 'c'\nrule = [{{ types = ['shell'] }}]\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = {{ fixed = 'h' }}\n\
         channel-policy = 'c'\n{extra}"
    ));
    Connection::clone(&policy.connections[0])
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_example_is_read_as_it_is_commented() {
    let policy = example();
    policy.check_runnable().unwrap();
    let [servers, jump, lab] = &policy.connections[..] else { panic!("three connections") };
    assert_eq!(
        servers.authentication.as_ref().unwrap().sequences,
        [[Method::PublicKey], [Method::KeyboardInteractive]]
    );
    assert_eq!(servers.credential_store, CredentialSource::Plugin("vault".try_into().unwrap()));
    assert_eq!(servers.settings.user_idle_timeout, Some(Duration::from_secs(1800)));
    assert_eq!(servers.rate_limit.unwrap().per_minute.get(), 60);
    assert_eq!(jump.target, Target::Fixed { host: Host::parse("jump.example.com"), port: 22 });
    assert!(jump.known_host_keys[0].pattern.matches(Some("jump.example.com"), ip("192.0.2.1"), 22));
    assert_eq!(jump.log_in, [LogInMeans::Keys, LogInMeans::Passwords, LogInMeans::Ask]);
    assert!(!lab.active);
    assert_eq!(lab.host_key_check, HostKeyCheck::Known);
    assert_eq!(lab.settings, keyward_policy::Settings::default());
    let vault = &policy.plugins[&"vault".try_into().unwrap()];
    assert_eq!(vault.configuration, "[vault]\naddress=https://vault.example.com\n");
    assert_eq!(vault.memory_limit, 512 << 20);
    assert_eq!(policy.user_lists["exempt-from-codes"].default, UserListDefault::NoUser);
}

#[test]
fn host_keys_are_known_in_four_ways() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let pin = keyward_policy::fingerprint(KEY).unwrap();
    let entries = [
        format!("key = '{KEY} comment'"),
        format!("fingerprint = '{pin}='"),
        format!("fingerprint = 'ssh-rsa {pin}'"),
        format!("authority = '{KEY}'"),
        format!("revoked = '{KEY}'"),
        format!("revoked = '{pin}'"),
    ]
    .map(|entry| format!("{{ host = 'h', {entry} }}"));
    let known = connection(&format!("known-host-keys = [{}]", entries.join(", "))).known_host_keys;
    let known: Vec<HostKeyKnowledge> = known.into_iter().map(|known| known.knowledge).collect();
    let pinned = |kind: Option<&str>| HostKeyKnowledge::Fingerprint {
        kind: kind.map(str::to_owned),
        fingerprint: pin.clone(),
    };
    assert_eq!(
        known,
        [
            HostKeyKnowledge::Key(KEY.to_owned()),
            pinned(None),
            pinned(Some("ssh-rsa")),
            HostKeyKnowledge::Authority(KEY.to_owned()),
            HostKeyKnowledge::Revoked(pin.clone()),
            HostKeyKnowledge::Revoked(pin.clone()),
        ]
    );
}

#[test]
fn the_order_of_the_log_in_is_the_policys() {
    use LogInMeans::{Agent, Ask, Keys, Passwords};
    assert_eq!(connection("").log_in, [Keys, Passwords]);
    assert_eq!(connection("ask-target-password = true").log_in, [Keys, Passwords, Ask]);
    assert_eq!(connection("log-in = ['ask', 'keys']").log_in, [Ask, Keys]);
    assert_eq!(connection("log-in = ['ask', 'agent', 'keys']").log_in, [Ask, Agent, Keys]);
}

#[test]
fn an_authority_certifies_whom_its_table_says() {
    const KEY: &str = "key = \"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\"";
    let authority = |lines: &str| {
        let policy = parse(&format!("[[certificate-authority]]\nname = 'a'\n{KEY}\n{lines}"));
        policy.certificate_authorities["a"].clone()
    };
    let plain = authority("");
    assert_eq!((plain.validity.as_secs(), plain.extensions.len()), (300, 5));
    assert_eq!(plain.principals_for("root", Some("ann")), ["root"]);
    let named = authority("principals = ['{gateway-user}@{user}', 'all', '{user}']\nextensions = []");
    assert_eq!(named.extensions, [""; 0]);
    assert_eq!(named.principals_for("root", Some("ann")), ["ann@root", "all", "root"]);
    assert_eq!(named.principals_for("root", None), ["all", "root"]);
    // A name cannot stand for another one.
    assert_eq!(named.principals_for("{gateway-user}", Some("{user}"))[0], "{user}@{gateway-user}");
    assert!(!format!("{plain:?}").contains("AAAA"));
}

#[test]
fn each_side_has_its_own_algorithms() {
    let settings = |lines: &str| {
        let connection = connection(&format!("settings = 's'\n[[settings]]\nname = 's'\n{lines}"));
        (connection.settings.client_algorithms, connection.settings.target_algorithms)
    };
    assert_eq!(settings(""), (Algorithms::Modern, Algorithms::Modern));
    assert_eq!(settings("target-algorithms = 'legacy'"), (Algorithms::Modern, Algorithms::Legacy));
    assert_eq!(settings("client-algorithms = 'legacy'"), (Algorithms::Legacy, Algorithms::Modern));
}

#[test]
fn the_memory_of_all_plugins_is_a_size() {
    assert_eq!(parse("[gateway]\nplugin-memory = '2 GiB'").gateway.plugin_memory, Some(2 << 30));
}

#[test]
fn what_is_left_out_has_the_default_of_the_documentation() {
    let policy = parse("[[plugin]]\nname = 'a'\nbundle = 'Ab'");
    let gateway = &policy.gateway;
    assert_eq!(policy.node.data_dir, Path::new("/var/lib/keyward"));
    assert_eq!((gateway.max_sessions.get(), gateway.max_plugin_calls.get()), (1000, 500));
    assert_eq!(gateway.max_log_ins.get(), 500);
    assert_eq!(gateway.min_free_memory, 64 << 20);
    assert_eq!(parse("[gateway]\nmin-free-memory = '2 GiB'").gateway.min_free_memory, 2 << 30);
    assert_eq!(gateway.drain, Duration::from_secs(30));
    assert_eq!(gateway.plugin_memory, None);
    let plugin = &policy.plugins[&"a".try_into().unwrap()];
    assert_eq!(plugin.start, PluginStart::Warm);
    assert_eq!((plugin.idle_workers, plugin.memory_limit, plugin.processes), (2, 512 << 20, 64));
    assert_eq!((plugin.cpu_seconds, plugin.disk_limit, &plugin.network), (600, 1 << 30, &None));
    assert!(!gateway.strict);
    // A hook call gets half of it (contract section 3, rule 8).
    assert_eq!(connection("").settings.timeout, Duration::from_secs(600));
    assert!(
        !plugin.retry_interrupted
            && !plugin.follow_updates
            && plugin.environment.is_none()
            && plugin.configuration.is_empty()
    );
}

#[test]
fn a_plugin_is_bounded_as_its_table_says() {
    let policy = parse(
        "[gateway]\nstrict = true\n[[plugin]]\nname = 'a'\nbundle = 'Ab'\ncpu-seconds = 30\ndisk-limit = '64 MiB'\n\
         network = ['api.example.com:443', '10.0.0.0/8:*']\n[[plugin]]\nname = 'b'\nbundle = 'Ab'\nnetwork = []",
    );
    assert!(policy.gateway.strict);
    let plugin = &policy.plugins[&"a".try_into().unwrap()];
    assert_eq!((plugin.cpu_seconds, plugin.disk_limit), (30, 64 << 20));
    let network: Vec<String> = plugin.network.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(network, ["api.example.com:443", "10.0.0.0/8:*"]);
    assert_eq!(policy.plugins[&"b".try_into().unwrap()].network, Some(Vec::new()), "no network at all");
}

#[test]
fn a_document_without_active_connections_serves_plugins_but_does_not_run() {
    assert!(matches!(parse("").check_runnable(), Err(PolicyError::NothingToRun)));
}

#[test]
fn the_first_active_connection_that_matches_takes_the_client() {
    let policy = example();
    let taken = |listener: &str, client: &str| {
        policy.connection_for(addr(listener), ip(client)).map(|connection| connection.name.to_string())
    };
    assert_eq!(taken("0.0.0.0:2222", "10.1.2.3").as_deref(), Some("servers"));
    assert_eq!(taken("0.0.0.0:2222", "::ffff:10.1.2.3").as_deref(), Some("servers"));
    assert_eq!(taken("0.0.0.0:2222", "192.0.2.9").as_deref(), Some("jump"));
    assert_eq!(taken("[::]:2222", "192.0.2.9"), None);
    assert_eq!(taken("127.0.0.1:2223", "10.1.2.3"), None, "inactive");
}

fn inband(allow: &[&str], deny: &[&str]) -> Inband {
    let read =
        |texts: &[&str], port| texts.iter().map(|text| HostPattern::parse(text, port).unwrap()).collect();
    Inband {
        allow: read(allow, PatternPort::Only(22)),
        deny: read(deny, PatternPort::Any),
        dns_suffixes: Vec::new(),
        jump_host: false,
    }
}

#[test]
fn a_target_is_judged_by_name_address_and_port() {
    let limits = inband(&["db1", "*.Example.com:*", "10.0.0.0/8", "[2001:db8::/32]:2022"], &[]);
    let judge = |name: Option<&str>, target: &str| limits.judge(name, addr(target)).is_ok();
    assert!(judge(Some("DB1."), "192.0.2.1:22"));
    assert!(!judge(Some("db1"), "192.0.2.1:23"), "no port in the pattern means the protocol's own");
    assert!(!judge(None, "192.0.2.1:22"));
    assert!(judge(Some("a.b.example.com"), "192.0.2.1:9"));
    assert!(!judge(Some("example.com"), "192.0.2.1:22"), "the domain is not below itself");
    assert!(!judge(Some("badexample.com"), "192.0.2.1:22"));
    assert!(judge(None, "10.1.1.1:22"));
    assert!(judge(None, "[::ffff:10.1.1.1]:22"));
    assert!(judge(None, "[2001:db8::1]:2022"));
    assert!(!judge(None, "[2001:db8::1]:22"));
}

#[test]
fn deny_wins_over_allow_on_every_port() {
    let limits = inband(&["10.0.0.0/8:*"], &["10.0.0.1", "*.evil.example"]);
    assert_eq!(
        limits.judge(None, addr("10.0.0.1:9")).unwrap_err().to_string(),
        "the deny list has 10.0.0.1:*"
    );
    assert!(limits.judge(Some("a.evil.example"), addr("10.0.0.2:9")).is_err());
    assert_eq!(limits.judge(None, addr("10.0.0.2:9")), Ok(()));
    assert_eq!(limits.judge(None, addr("192.0.2.1:9")), Err(RefusedBy::NotAllowed));
}

#[test]
fn only_an_address_with_its_port_written_out_is_exact() {
    let exact = |allow: &str| inband(&[allow], &[]).allows_exactly(addr("127.0.0.1:22"));
    assert!(exact("127.0.0.1:22"));
    for loose in ["127.0.0.1", "127.0.0.1:*", "127.0.0.0/8:22", "localhost:22", "127.0.0.1:23"] {
        assert!(!exact(loose), "{loose}");
    }
}

#[test]
fn a_pattern_is_shown_as_it_can_be_written() {
    for text in ["db1:22", "*.example.com:*", "10.0.0.0/8:22", "[2001:db8::7]:22", "[2001:db8::/32]:*"] {
        assert_eq!(HostPattern::parse(text, PatternPort::Any).unwrap().to_string(), text);
    }
    for bad in
        ["", "*", "*.", "a b", "db1:", "db1:0", "db1:+22", "[::1", "[::1]x", "10.0.0.0/8/8", "a..b", "*.*.b"]
    {
        assert!(HostPattern::parse(bad, PatternPort::Any).is_err(), "{bad}");
    }
}

#[test]
fn a_different_remote_user_needs_a_rule_for_the_user_or_a_group() {
    let with_rules = connection(
        "usermapping = 'm'\n[[usermapping]]\nname = 'm'\n\
         rule = [{ remote-user = 'root', users = ['alice'], groups = ['ops'] }]",
    );
    let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!(with_rules.mapping_allows(Some("alice"), &[], "root"));
    assert!(with_rules.mapping_allows(Some("bob"), &groups(&["x", "ops"]), "root"));
    assert!(!with_rules.mapping_allows(Some("bob"), &groups(&["x"]), "root"));
    assert!(!with_rules.mapping_allows(Some("Alice"), &[], "root"));
    assert!(!with_rules.mapping_allows(Some("alice"), &groups(&["ops"]), "admin"));

    let without = connection("");
    assert!(!without.mapping_allows(Some("alice"), &groups(&["ops"]), "root"));
    assert!(without.mapping_allows(Some("alice"), &[], "alice"));
    assert!(without.mapping_allows(None, &[], "root"), "no gateway user, no pair");
}

#[test]
fn a_channel_opens_by_the_first_rule_that_matches_or_not_at_all() {
    let policy = parse(
        "[[channel-policy]]\nname = 'c'\n\
         [[channel-policy.rule]]\ntypes = ['shell']\nfrom = ['10.0.0.0/8']\ntargets = ['db1']\ngroups = ['ops']\n\
         remote-users = ['root']\nrecord = false\n\
         [[channel-policy.rule]]\ntypes = ['shell', 'exec']\ngroups = ['ops']\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = { fixed = 'h' }\n\
         channel-policy = 'c'",
    );
    let channels = &policy.connections[0].channels;
    let ops = ["ops".to_owned()];
    let target = TargetAddr { addr: addr("192.0.2.1:9"), hostname: Some("db1".into()) };
    let query = ChannelQuery {
        kind: ChannelKind::Shell,
        client: ClientAddr(addr("[::ffff:10.0.0.1]:5")),
        target: &target,
        groups: &ops,
        remote_user: "root",
        subject: ChannelSubject::Nothing,
        now: SystemTime::now(),
    };
    let [unrecorded, recorded] = [0, 1].map(|rule| ChannelDecision::Allow(&channels.rules[rule]));
    assert!(!channels.rules[0].record && channels.rules[1].record);
    assert_eq!(channels.decide(&query), unrecorded);
    assert_eq!(channels.decide(&ChannelQuery { remote_user: "alice", ..query }), recorded);
    assert_eq!(channels.decide(&ChannelQuery { client: ClientAddr(addr("192.0.2.9:5")), ..query }), recorded);
    let other = TargetAddr { hostname: None, ..target.clone() };
    assert_eq!(channels.decide(&ChannelQuery { target: &other, ..query }), recorded);
    assert_eq!(channels.decide(&ChannelQuery { kind: ChannelKind::Exec, ..query }), recorded);
    assert_eq!(channels.decide(&ChannelQuery { groups: &[], ..query }), ChannelDecision::Refuse);
    for kind in ChannelKind::ALL {
        if !matches!(kind, ChannelKind::Shell | ChannelKind::Exec) {
            assert_eq!(channels.decide(&ChannelQuery { kind, ..query }), ChannelDecision::Refuse, "{kind}");
        }
    }
}

#[test]
fn a_rule_looks_at_what_a_channel_is_for() {
    let policy = parse(
        "[[channel-policy]]\nname = 'c'\n\
         [[channel-policy.rule]]\ntypes = ['exec']\ncommands = ['uptime', 'systemctl status [a-z.@-]+']\n\
         [[channel-policy.rule]]\ntypes = ['dynamic']\nhosts = ['*.example.com:443', '10.0.0.0/8:5432', 'db1']\n\
         [[channel-policy.rule]]\ntypes = ['remote-forward']\nhosts = ['localhost:8080']\n\
         [[channel-policy.rule]]\ntypes = ['streamlocal']\npaths = ['/run/postgresql/[^/]+']\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = { fixed = 'h' }\n\
         channel-policy = 'c'",
    );
    let target = TargetAddr { addr: addr("192.0.2.1:9"), hostname: None };
    let allows = |kind, subject: ChannelSubject<'_>| {
        let (client, now) = (ClientAddr(addr("192.0.2.9:5")), SystemTime::now());
        let (groups, remote_user) = (&[], "root");
        let query = ChannelQuery { kind, client, target: &target, groups, remote_user, subject, now };
        policy.connections[0].channels.decide(&query) != ChannelDecision::Refuse
    };
    let runs = |command: &str| allows(ChannelKind::Exec, ChannelSubject::Command(command.as_bytes()));
    assert!(runs("uptime") && runs("systemctl status sshd.service"));
    assert!(!runs("uptime; sh") && !runs("systemctl status x; sh") && !runs(""));
    let leads = |host, port| allows(ChannelKind::LocalForward, ChannelSubject::Host { host, port });
    assert!(leads("www.example.com", 443) && leads("10.1.2.3", 5432) && leads("DB1", 1));
    assert!(!leads("www.example.com", 80) && !leads("10.1.2.3", 22) && !leads("example.com", 443));
    assert!(!leads("10.1.2.3.evil.com", 5432) && !leads("", 443));
    let listens = |host, port| allows(ChannelKind::RemoteForward, ChannelSubject::Host { host, port });
    assert!(listens("localhost", 8080) && !listens("", 8080) && !listens("localhost", 80));
    let socket = |path| allows(ChannelKind::StreamLocal, ChannelSubject::Path(path));
    assert!(socket("/run/postgresql/.s.PGSQL.5432") && !socket("/run/docker.sock"));
    assert!(!socket("/run/postgresql/../docker.sock"));
}

#[test]
fn a_rule_says_what_may_be_done_to_which_files() {
    let policy = parse(
        "[[channel-policy]]\nname = 'c'\n\
         [[channel-policy.rule]]\ntypes = ['sftp', 'scp']\ngroups = ['ops']\nfiles = [\n\
           { paths = ['/srv/secret(/.*)?'], allow = false },\n\
           { operations = ['download', 'list'], paths = ['/srv(/.*)?'] },\n\
         ]\n\
         [[channel-policy.rule]]\ntypes = ['sftp']\nremote-users = ['root']\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = { fixed = 'h' }\n\
         channel-policy = 'c'",
    );
    let channels = &policy.connections[0].channels;
    let (ops, target) = (["ops".to_owned()], TargetAddr { addr: addr("192.0.2.1:9"), hostname: None });
    let query = ChannelQuery {
        kind: ChannelKind::Sftp,
        client: ClientAddr(addr("192.0.2.9:5")),
        target: &target,
        groups: &ops,
        remote_user: "root",
        subject: ChannelSubject::Nothing,
        now: SystemTime::UNIX_EPOCH,
    };
    let files = channels.files(&query);
    assert!(files.judge() && files.allow(FileOperation::Download, b"/srv/a"));
    assert!(!files.allow(FileOperation::Upload, b"/srv/a"));
    assert!(!files.allow(FileOperation::Download, b"/srv/secret/a"));
    let unruled = channels.files(&ChannelQuery { groups: &[], ..query });
    assert!(!unruled.judge() && unruled.allow(FileOperation::Delete, b"/"));
    let refused = channels.files(&ChannelQuery { groups: &[], remote_user: "alice", ..query });
    assert!(!refused.allow(FileOperation::Download, b"/srv/a"), "no rule allows the channel");
}

#[test]
fn a_rule_with_a_time_window_holds_in_its_periods() {
    let policy = parse(
        "[[time-window]]\nname = 'office'\ntime-zone = 'Europe/Berlin'\n\
         [[time-window.period]]\ndays = ['mon-thu', 'fri']\nfrom = '08:00'\nto = '18:00'\n\
         [[time-window.period]]\ndays = ['sat']\n\
         [[channel-policy]]\nname = 'c'\nrule = [{ types = ['shell'], time-window = 'office' }]\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = { fixed = 'h' }\n\
         channel-policy = 'c'",
    );
    let target = TargetAddr { addr: addr("192.0.2.1:9"), hostname: None };
    // Thursday, 2026-01-01, 00:00 UTC.
    let opens = |hours: u64| {
        let query = ChannelQuery {
            kind: ChannelKind::Shell,
            client: ClientAddr(addr("192.0.2.9:5")),
            target: &target,
            groups: &[],
            remote_user: "root",
            subject: ChannelSubject::Nothing,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + hours * 3600),
        };
        policy.connections[0].channels.decide(&query) != ChannelDecision::Refuse
    };
    assert!(!opens(6) && opens(7) && opens(16) && !opens(17), "08:00 in Berlin is 07:00 of UTC");
    assert!(opens(24 + 7) && opens(47) && opens(70), "Friday, then all of Saturday");
    assert!(!opens(71) && !opens(72 + 12), "not on Sunday");
}

#[test]
fn a_store_finds_the_rows_of_a_user_by_name_address_and_text() {
    let policy = parse(
        "[[local-credential-store]]\nname = 's'\n\
         [[local-credential-store.row]]\nhost = 'db1'\nuser = 'root'\npasswords = ['1']\n\
         [[local-credential-store.row]]\nhost = '10.0.0.0/8'\nuser = 'root'\npasswords = ['2', '3']\n\
         [[local-credential-store.row]]\nhost = '*.example.com'\nuser = 'root'\npasswords = ['4']\n\
         [[local-credential-store.row]]\nhost = 'any section: at all'\nuser = 'option'\npasswords = ['5']",
    );
    let store = &policy.credential_stores["s"];
    let found = |host: Option<&str>, addr: Option<&str>, user: &str| -> String {
        let rows = store.find(host, addr.map(ip), user);
        rows.flat_map(|row| row.passwords.iter().map(|password| password.expose().to_owned())).collect()
    };
    assert_eq!(found(Some("DB1"), Some("10.0.0.9"), "root"), "123");
    assert_eq!(found(None, Some("::ffff:10.0.0.9"), "root"), "23");
    assert_eq!(found(Some("10.0.0.9"), None, "root"), "23");
    assert_eq!(found(Some("10.0.0.0/8"), None, "root"), "23");
    assert_eq!(found(Some("a.example.com"), None, "root"), "4");
    assert_eq!(found(Some("any section: at all"), None, "option"), "5");
    assert_eq!(found(Some("db1"), None, "Root"), "");
    assert_eq!(found(None, None, "root"), "");
}

#[test]
fn a_password_is_right_by_its_hash_only() {
    let hash = hash_password(&Secret::new("correct".into()), [7; 16]);
    let policy = parse(&format!("[[user]]\nname = 'a'\npassword = '{hash}'\n[[user]]\nname = 'b'"));
    let right =
        |user: &str, password: &str| policy.users[user].verify_password(&Secret::new(password.into()));
    assert!(right("a", "correct"));
    assert!(!right("a", "wrong"));
    assert!(!right("a", ""));
    assert!(!right("a", &hash));
    assert!(!right("b", ""), "without a hash no password is right");
}

#[test]
fn a_hash_of_another_kind_or_cost_is_refused() {
    let good = hash_password(&Secret::new("x".into()), [7; 16]);
    for bad in [
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("m=19456", "m=64"),
        good.replace("m=19456", "m=4000000"),
        good.replace("t=2", "t=1000"),
        good.rsplit_once('$').unwrap().0.to_owned(),
        "$argon2id$v=19$m=19456,t=2,p=1$".into(),
        "$6$salt$hash".into(),
        "secret".into(),
    ] {
        assert_ne!(bad, good);
        let document = format!("[[user]]\nname = 'a'\npassword = '{bad}'");
        assert!(Policy::parse(&document, Path::new(""), "x").is_err(), "{bad}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let hash = hash_password(&Secret::new("x".into()), [7; 16]);
    let policy = parse(&format!(
        "[gateway]\nstarling-join = 'hunter2'\nhttp-proxy = {{ server = 'p', port = 1, password = 'hunter2' }}\n\
         [[user]]\nname = 'a'\npassword = '{hash}'\n[[plugin]]\nname = 'a'\nbundle = 'Ab'\n\
         configuration = 'password=hunter2'\n[[local-credential-store]]\nname = 's'\n\
         row = [{{ host = 'a', user = 'b', passwords = ['hunter2'], keys = [{{ kind = 'ssh-rsa', key = '''\n\
         -----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n''' }}] }}]"
    ));
    let text = format!("{policy:?} {policy:#?}");
    assert!(!text.contains("hunter2") && !text.contains("argon2"), "{text}");
}

#[test]
fn files_are_found_beside_the_document() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.cfg"), "[x]\ny=1\n").unwrap();
    let path = folder.path().join("keyward.toml");
    let document = "[node]\ndata-dir = 'data'\n[[environment]]\nname = 'p'\npython = './py/bin/python'\n\
                    [[plugin]]\nname = 'a'\nbundle = 'Ab'\nenvironment = 'p'\nconfiguration-file = 'a.cfg'";
    std::fs::write(&path, document).unwrap();
    let policy = Policy::load(&path).unwrap();
    assert_eq!(policy.plugins[&"a".try_into().unwrap()].configuration, "[x]\ny=1\n");
    assert_eq!(policy.node.data_dir, folder.path().join("data"));
    assert_eq!(policy.environments["p"].python, folder.path().join("py/bin/python"));
}

#[test]
fn a_document_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyward.toml");
    let error = Policy::load(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", path.display()));
    std::fs::write(&path, [b'#', 0xff]).unwrap();
    assert!(matches!(Policy::load(&path), Err(PolicyError::NotUtf8(_))));
    std::fs::File::create(&path).unwrap().set_len(Policy::MAX_BYTES + 1).unwrap();
    assert!(matches!(Policy::load(&path), Err(PolicyError::TooLarge(_))));
}

#[test]
fn the_pem_texts_of_a_trusted_ca_list_are_taken_apart() {
    let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let policy = parse(&format!("[[trusted-ca-list]]\nname = 'c'\ncertificates = ['''\n{block}{block}''']"));
    assert_eq!(policy.trusted_cas["c"].certificates, [block, block]);
    assert!(policy.trusted_cas["c"].crls.is_empty());
}

#[test]
fn an_ldap_server_is_protected_and_finds_users_and_groups_as_most_directories_have_them() {
    let ca = "[[trusted-ca-list]]\nname = 'c'\nstrict-host-check = true\ncertificates = ['''-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----''']\n";
    let server = "[[ldap-server]]\nname = 'd'\naddresses = ['ldap1', '10.0.0.7:3269']\nbase = 'dc=x'\n";
    let policy =
        parse(&format!("{ca}{server}trusted-ca-list = 'c'\nbind-dn = 'cn=k'\nbind-password = 'hunter2'"));
    let directory = &policy.ldap_servers["d"];
    assert_eq!(directory.tls, LdapTls::Ldaps(policy.trusted_cas["c"].clone()));
    assert!(policy.trusted_cas["c"].strict_host_check);
    let ports: Vec<u16> = directory.addresses.iter().map(|address| address.port).collect();
    assert_eq!(ports, [636, 3269]);
    assert_eq!(directory.bind.as_ref().unwrap().password.expose(), "hunter2");
    assert!(!format!("{policy:?}").contains("hunter2"));
    assert_eq!(directory.user_filter, "(uid={user})");
    assert_eq!(directory.groups.members, ["member", "uniqueMember"]);
    let plain = parse(&format!("{server}tls = 'none'\ngroup-members = []"));
    let directory = &plain.ldap_servers["d"];
    assert_eq!((&directory.tls, directory.addresses[0].port), (&LdapTls::None, 389));
    assert!(directory.bind.is_none() && directory.groups.members.is_empty());
}

#[test]
fn a_log_in_has_time_for_the_plugins_that_the_timeout_lets_run() {
    let log_in = |settings: &str| {
        let connection = connection(&format!("settings = 's'\n[[settings]]\nname = 's'\n{settings}"));
        connection.settings.log_in_timeout.as_secs()
    };
    assert_eq!(log_in(""), 1200);
    assert_eq!(log_in("timeout = 60"), 1200);
    assert_eq!(log_in("timeout = 3600"), 7200);
    assert_eq!(log_in("timeout = 3600\nlog-in-timeout = 30"), 30);
}

#[test]
fn an_audit_policy_names_who_may_read_what_is_shown_and_what_is_typed() {
    const ONE: &str = "age1sl9det44s83x5hcmkpxhe6aflj6gx335lntmnt3m675hvqej4drqn9fuhm";
    let two = AuditorKey::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("auditor.pem"));
    certificate_of(&key, &certificate);
    let document = format!(
        "[[channel-policy]]\nname = 'c'\nrule = [{{ types = ['shell'] }}]\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = {{ fixed = 'h' }}\n\
         channel-policy = 'c'\naudit-policy = 'a'\n\
         [[audit-policy]]\nname = 'a'\nrecipients = ['{ONE}', 'auditor.pem']\n\
         typed = {{ recipients = ['{ONE}', '{}'], needs = 'all' }}\n",
        two.recipient().name()
    );
    let policy = Policy::parse(&document, folder.path(), "test.toml").unwrap();
    let audit = policy.connections[0].audit.as_ref().unwrap();
    let one = Recipient::from_age(ONE).unwrap();
    let certified = AuditorKey::parse(&std::fs::read_to_string(&key).unwrap()).unwrap();
    let shown = vec![one.clone(), certified[0].recipient().clone()];
    assert_eq!(audit.shown, Recipients::any(shown));
    assert_eq!(audit.typed, Recipients::all(vec![one, two.recipient().clone()]));
    assert!(connection("").audit.is_none());
}

#[test]
fn an_audit_policy_may_have_timestamps_alone() {
    let folder = tempfile::tempdir().unwrap();
    certificate_of(&folder.path().join("key.pem"), &folder.path().join("ca.pem"));
    let of = |more: &str| {
        let document = format!(
            "[[channel-policy]]\nname = 'c'\nrule = [{{ types = ['shell'] }}]\n\
             [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = {{ fixed = 'h' }}\n\
             channel-policy = 'c'\naudit-policy = 'a'\n\
             [[trusted-ca-list]]\nname = 't'\ncertificate-files = ['ca.pem']\n\
             [[audit-policy]]\nname = 'a'\n\
             timestamps = {{ url = 'http://tsa:3180/tsr', trusted-ca-list = 't'{more} }}\n"
        );
        let policy = Policy::parse(&document, folder.path(), "test.toml").unwrap();
        let audit = policy.connections[0].audit.clone().unwrap();
        assert!(audit.shown.is_none() && audit.typed.is_none());
        audit.timestamps.clone().unwrap()
    };
    let timestamps = of("");
    assert_eq!((timestamps.url.as_str(), timestamps.interval.as_secs()), ("http://tsa:3180/tsr", 300));
    let ca = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    assert_eq!(timestamps.authorities, TimestampAuthorities::from_pem([ca.as_str()]).unwrap());
    assert_eq!(of(", interval = 10").interval.as_secs(), 10);
}

#[test]
fn recordings_are_kept_as_long_as_the_audit_policy_of_their_connection_says() {
    let document = |term: &str| {
        format!(
            "[[channel-policy]]\nname = 'c'\nrule = [{{ types = ['shell'] }}]\n\
             [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = {{ fixed = 'h' }}\n\
             channel-policy = 'c'\naudit-policy = 'a'\n[[audit-policy]]\nname = 'a'\nkeep-for = '{term}'\n"
        )
    };
    let name = |text: &str| ConnectionName::try_from(text).unwrap();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    for (term, expected) in [("36h", 36), ("90d", 90 * 24), ("8 w", 56 * 24), ("100y", 100 * 365 * 24)] {
        let policy = parse(&document(term));
        assert_eq!(policy.keeps_for(&name("x")), hours(expected), "{term}");
        assert_eq!(policy.keeps_for(&name("gone")), None);
        assert_eq!(policy.connections[0].audit.as_ref().unwrap().shown, None);
    }
    assert_eq!(parse("[gateway]\nkeep-at-most = '3 TiB'").gateway.keep_at_most, Some(3 << 40));
    assert_eq!(parse("").gateway.keep_at_most, None);
}

#[expect(clippy::disallowed_methods, reason = "OpenSSL makes the certificate")]
fn certificate_of(key: &Path, certificate: &Path) {
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=auditor", "-keyout"]);
    assert!(openssl.arg(key).arg("-out").arg(certificate).output().unwrap().status.success());
}

fn object_store(lines: &str) -> Result<(u64, Option<u64>), String> {
    let document = format!(
        "[gateway.object-store]\nendpoint = 'http://127.0.0.1'\nallow-http = true\nbucket = 'trails'\n\
         access-key = 'key'\nsecret-key = 'secret'\n{lines}"
    );
    let policy = Policy::parse(&document, Path::new("/base"), "test.toml");
    let store = policy.map_err(|error| error.to_string())?.gateway.object_store.unwrap();
    Ok((store.spool_every.as_secs(), store.unsent_at_most.map(|most| most.as_secs())))
}

#[test]
fn a_required_object_store_gets_at_least_two_chances() {
    assert_eq!(object_store(""), Ok((60, None)));
    assert_eq!(object_store("unsent-at-most = 60"), Ok((20, Some(60))));
    assert_eq!(object_store("unsent-at-most = 600"), Ok((60, Some(600))));
    assert_eq!(object_store("unsent-at-most = 60\nspool-every = 30"), Ok((30, Some(60))));
    let late = object_store("unsent-at-most = 60\nspool-every = 31").unwrap_err();
    assert!(late.contains("at least twice the seconds of `spool-every`"), "{late}");
}

#[test]
fn a_node_file_says_that_the_policy_is_in_the_store_and_a_document_there_has_no_node() {
    let file = parse("[node]\nconfiguration = \"store\"\ndata-dir = \"/srv/keyward\"");
    assert_eq!(file.node.configuration, ConfigurationPlace::Store);
    let stored = |text| Policy::parse_stored(text, &file.node, Path::new("/nowhere"), "revision 1");
    let policy = stored("[gateway]\nhost-name = 'db'").unwrap();
    assert_eq!((policy.node, policy.gateway.host_name.as_str()), (file.node.clone(), "db"));
    let refused = stored("[node]\ndata-dir = '/srv'").unwrap_err().to_string();
    assert!(
        refused.contains("revision 1:1:1: a policy document that is kept in the store has no [node]"),
        "{refused}"
    );
}

#[test]
fn the_url_of_a_database_is_read_as_postgresqls_own_programs_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("word"), "s3cret\nmore").unwrap();
    let read = |url: &str| {
        let text = format!("[node]\ndatabase = {{ url = \"{url}\", password-file = \"word\" }}");
        Policy::parse(&text, folder.path(), "keyward.toml").map(|policy| policy.node.database.unwrap())
    };
    let facts = |url| {
        let server = read(url).unwrap();
        assert_eq!(server.password.unwrap().expose(), "s3cret");
        (server.user, server.host, server.port, server.database)
    };
    let expected = |host: &str, port| ("keyward".to_owned(), host.to_owned(), port, "ledger".to_owned());
    assert_eq!(facts("postgres://keyward@db1.example.com/ledger"), expected("db1.example.com", 5432));
    assert_eq!(facts("postgresql://keyward@192.0.2.7:5433/ledger"), expected("192.0.2.7", 5433));
    assert_eq!(facts("postgres://keyward@[2001:db8::7]/ledger"), expected("2001:db8::7", 5432));
    assert_eq!(facts("postgres://keyward@%2Frun%2fpostgresql/ledger"), expected("/run/postgresql", 5432));
    for wrong in [
        "db1",
        "postgres://db1/ledger",
        "postgres://keyward@db1",
        "postgres://keyward@/ledger",
        "postgres://keyward@db1/ledger?sslmode=disable",
        "postgres://keyward@db1/a/b",
        "postgres://key%20ward@db1/ledger",
        "postgres://keyward@db1%2f/ledger",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
