// SPDX-License-Identifier: MIT

//! Echo and the least HTTP, a task a connection: Tokio's sockets without an HTTP library, a floor
//! for what a Rust server could do, like the bare epoll server. One that reads is the hyper peer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n";

async fn echo(mut s: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0u8; 1024];
    loop {
        let n = s.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        if buffer[0] == b'H' {
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 50 {} // a message that asks for computing; see load.c
        }
        s.write_all(&buffer[..n]).await?;
    }
}

async fn http(mut s: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0u8; 4096];
    let mut held = 0;
    while held < buffer.len() {
        let n = s.read(&mut buffer[held..]).await?;
        if n == 0 {
            return Ok(());
        }
        held += n;
        let mut at = 0;
        while let Some(end) = buffer[at..held].windows(4).position(|w| w == b"\r\n\r\n") {
            at += end + 4;
            s.write_all(ANSWER).await?;
        }
        buffer.copy_within(at..held, 0);
        held -= at;
    }
    Ok(())
}

fn start(s: TcpStream, speak_http: bool) {
    let _ = s.set_nodelay(true);
    if speak_http {
        tokio::spawn(http(s));
    } else {
        tokio::spawn(echo(s));
    }
}

pub async fn serve(port: u16, speak_http: bool) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a listener");
    println!("listening on tcp://{}", listener.local_addr().unwrap());
    loop {
        if let Ok((s, _)) = listener.accept().await {
            start(s, speak_http);
        }
    }
}
