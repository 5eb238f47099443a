//! The service that is read: started, given a plan of faults, killed and started again on the same port.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;

/// How long a new start may take, for a port that is not free at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running service. Dropping it ends it.
pub struct Service {
    program: PathBuf,
    root: PathBuf,
    /// Host and port.
    pub address: String,
    child: Child,
}

impl Service {
    pub fn start(program: &Path, root: &Path) -> Result<Self> {
        let (child, address) = serve(program, root, "127.0.0.1:0")?;
        Ok(Service { program: program.to_owned(), root: root.to_owned(), address, child })
    }

    /// Kills the service, leaves its port closed for `pause`, and starts it again without a plan. Connecting in between must fail.
    pub fn restart(&mut self, pause: Duration) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if TcpStream::connect(&self.address).is_ok() {
            return Err("somebody listens where the service was killed".into());
        }
        sleep(pause);
        let start = Instant::now();
        loop {
            match serve(&self.program, &self.root, &self.address) {
                Ok((child, _)) => {
                    self.child = child;
                    return Ok(());
                }
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Puts a plan into force.
    pub fn set_faults(&self, plan: &Value) -> Result<()> {
        self.faults("set", &["/dev/stdin"], plan.to_string().as_bytes()).map(drop)
    }

    /// What the plan has done so far.
    pub fn report(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.faults("get", &["--json"], b"")?)?)
    }

    fn faults(&self, action: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.args(["fault", action, "--server", &format!("http://{}", self.address)]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or("no input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("fault {action} ended with {}", output.status).into());
        }
        Ok(output.stdout)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the service; the child and the address where it listens.
fn serve(program: &Path, root: &Path, listen: &str) -> Result<(Child, String)> {
    let mut command = Command::new(program);
    command.arg("serve").arg("--root").arg(root).args(["--listen", listen]).env("RUST_LOG", "error");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let read = child.stdout.take().ok_or("no output")?;
    let read = BufReader::new(read).read_line(&mut line);
    match line.trim().strip_prefix("ready http://") {
        Some(address) => Ok((child, address.to_owned())),
        None => {
            child.kill()?;
            child.wait()?;
            read?;
            Err("the service did not become ready".into())
        }
    }
}
