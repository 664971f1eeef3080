use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::{PATIENCE, Program};

/// Stops the server when the pipe to us closes, however we end. It ends by itself on SIGTERM.
const WITH_OUR_LIFETIME: &str = r#""$@" & server=$!; read -r _; kill "$server"; wait "$server""#;

/// Debian's FreeRADIUS on a free port of the loopback, with a configuration of its own.
///
/// It knows `alice` by her password, and `bob`, whom it asks for a token code besides. Who else comes is refused, with
/// a message.
#[derive(Debug)]
pub struct FreeRadius {
    addr: SocketAddr,
    program: Program,
    _folder: TempDir,
}

impl FreeRadius {
    /// What it shares with its clients.
    pub const SECRET: &str = "a-secret-of-radius-7f3a";
    pub const ALICE: &str = "open sesame";
    pub const BOB: &str = "first factor";
    pub const BOB_TOKEN: &str = "135790";

    #[track_caller]
    pub fn start() -> Self {
        Self::answering(Answers::Signed)
    }

    /// As servers before 3.2.5 do by themselves: without Message-Authenticator in the responses.
    #[track_caller]
    pub fn without_signatures() -> Self {
        Self::answering(Answers::Unsigned)
    }

    #[track_caller]
    fn answering(answers: Answers) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-radius-").tempdir().unwrap();
        // Another program may take the port between our asking for a free one and the server's taking it: then again.
        for _ in 0..5 {
            let addr = (Ipv4Addr::LOCALHOST, free_port()).into();
            fs::write(folder.path().join("radiusd.conf"), configuration(folder.path(), addr, answers))
                .unwrap();
            let mut command = Command::new("sh");
            command.args([
                "-c",
                WITH_OUR_LIFETIME,
                "sh",
                "/usr/sbin/freeradius",
                "-fx",
                "-l",
                "/dev/stderr",
                "-d",
            ]);
            let program = Program::start_tied(command.arg(folder.path()));
            let ready = |line: &str| line.contains("Ready to process requests").then_some(());
            if program.find_line("FreeRADIUS listens", PATIENCE, ready).is_some() {
                return Self { addr, program, _folder: folder };
            }
            let log = program.log().join("\n");
            assert!(log.contains("in use"), "FreeRADIUS did not start:\n{log}");
        }
        panic!("FreeRADIUS found no free port in five tries");
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn log(&self) -> Vec<String> {
        self.program.log()
    }
}

#[derive(Clone, Copy, Debug)]
enum Answers {
    Signed,
    Unsigned,
}

fn configuration(folder: &Path, addr: SocketAddr, answers: Answers) -> String {
    let (folder, port, secret) = (folder.display(), addr.port(), FreeRadius::SECRET);
    let (alice, bob, token) = (FreeRadius::ALICE, FreeRadius::BOB, FreeRadius::BOB_TOKEN);
    // The server puts the right value in the place of this one.
    let signature = match answers {
        Answers::Signed => "update reply {\n&Message-Authenticator := 0x00\n}",
        Answers::Unsigned => "",
    };
    format!(
        r#"
prefix = /usr
libdir = /usr/lib/freeradius
dictionary = /usr/share/freeradius
raddbdir = {folder}
logdir = {folder}
run_dir = {folder}
security {{
    max_attributes = 200
    reject_delay = 0
    status_server = no
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
}}
client gateway {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = yes
}}
modules {{
    always reject {{
        rcode = reject
    }}
    always handled {{
        rcode = handled
    }}
    pap {{
    }}
    chap {{
    }}
}}
policy {{
    ask_for_token {{
        if (ok && &User-Name == "bob" && !&session-state:Tmp-String-0) {{
            update session-state {{
                &Tmp-String-0 := "asked"
            }}
            update reply {{
                &Reply-Message := "Code of your token:"
            }}
            update control {{
                &Response-Packet-Type := Access-Challenge
            }}
            handled
        }}
    }}
}}
server test {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        if (&User-Name == "alice") {{
            update control {{
                &Cleartext-Password := "{alice}"
            }}
        }}
        elsif (&User-Name == "bob") {{
            update control {{
                &Cleartext-Password := "{bob}"
            }}
        }}
        else {{
            update reply {{
                &Reply-Message := "Nobody of that name"
            }}
            reject
        }}
        if (&session-state:Tmp-String-0) {{
            update control {{
                &Cleartext-Password := "{token}"
            }}
        }}
        chap
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
            ask_for_token
        }}
        Auth-Type CHAP {{
            chap
            ask_for_token
        }}
    }}
    post-auth {{
        {signature}
        Post-Auth-Type REJECT {{
            {signature}
        }}
        Post-Auth-Type Challenge {{
            {signature}
        }}
    }}
}}
"#
    )
}
