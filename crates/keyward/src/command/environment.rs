//! `keyward environment`.

use std::process::ExitCode;

use keyward_plugin::create_environment;

use crate::args::Environment;

pub(crate) async fn environment(command: Environment) -> anyhow::Result<ExitCode> {
    match command {
        Environment::Create { name, dir, python } => {
            let made =
                create_environment(&super::interpreter(python)?, &dir, |line| eprintln!("{line}")).await?;
            println!("{}\n\nIn the policy document:\n", describe(&made));
            println!("[[environment]]\nname = \"{name}\"\npython = \"{}\"", made.python.display());
        }
        Environment::Check { python } => {
            println!(
                "{}",
                describe(&keyward_plugin::Environment::probe("checked", &super::interpreter(python)?).await?)
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(environment: &keyward_plugin::Environment) -> String {
    let sdk = environment.sdk.as_ref().map_or_else(
        || "without the Plugin SDK".to_owned(),
        |version| format!("with the Plugin SDK {version}"),
    );
    format!("{}: Python {} {sdk}, API {}", environment.python.display(), environment.version, environment.api)
}
