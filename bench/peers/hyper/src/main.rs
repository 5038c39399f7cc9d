// SPDX-License-Identifier: MIT

//! The hyper peer: an HTTP server as a Rust program has it, on Tokio.
//!
//!     hyper_peer http PORT WORKERS     prints where it listens
//!
//! Written as the library's own examples are, with its defaults: keep-alive, and no timeouts.
//! TCP_NODELAY and a backlog of 1024, as the Tokio peer has them. One worker is faster on the
//! current_thread runtime, and gets it.

use hyper::header::CONTENT_TYPE;
use hyper::server::conn::AddrIncoming;
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Method, Request, Response, Server, StatusCode};
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

async fn respond(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => (StatusCode::OK, "Hello, World!\n"),
        _ => (StatusCode::NOT_FOUND, "No such page.\n"),
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/plain");
    Ok(response.body(Body::from(text)).expect("a response"))
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a listener");
    let mut incoming = AddrIncoming::from_listener(listener).expect("an address");
    incoming.set_nodelay(true);
    println!("listening on tcp://{}", incoming.local_addr());
    let clients = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(respond)) });
    Server::builder(incoming).serve(clients).await.expect("to serve");
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse().ok());
    if args.get(1).map(String::as_str) != Some("http") {
        eprintln!("usage: {} http [PORT [WORKERS]]", args[0]);
        std::process::exit(2);
    }
    let mut runtime = match number(3).unwrap_or(1) {
        1 => Builder::new_current_thread(),
        workers => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = runtime.enable_all().build().expect("a runtime");
    let port = number(2).unwrap_or(0) as u16;
    runtime.block_on(async move { tokio::spawn(serve(port)).await.unwrap() });
}
