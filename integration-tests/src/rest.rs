use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Longer than a worker's own limit of 90 s: its answer is wanted, not ours.
const TIMEOUT: Duration = Duration::from_secs(100);

/// What a worker's REST API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header `Content-Type` without its parameters; empty for none.
    pub content_type: String,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body; `Null` for none, a string if it is not JSON.
    pub body: Value,
}

/// Asks a worker's REST API, one connection a request.
#[derive(Clone, Debug)]
pub struct Rest {
    address: String,
}

impl Rest {
    /// The API at `host:port`.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.request("GET", path, None)
    }

    /// Any method, with a JSON body if there is one. `path` goes out as it is.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let headers: &[_] = match body {
            Some(_) => &[("Content-Type", "application/json")],
            None => &[],
        };
        self.request_with(method, path, headers, &body.map(Value::to_string).unwrap_or_default())
    }

    /// Any method, headers and body.
    pub fn request_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.raw(request.as_bytes())
    }

    /// Any bytes; the first answer to them.
    pub fn raw(&self, request: &[u8]) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        // Who refuses a request early may not want the rest of it.
        let sent = stream.write_all(request);
        read_answer(BufReader::new(stream)).map_err(|error| sent.err().unwrap_or(error))
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

fn read_answer(mut stream: impl BufRead) -> io::Result<Answer> {
    let malformed = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let first = line(&mut stream)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| malformed(&first))?;
    let (mut length, mut chunked) = (None, false);
    let (mut content_type, mut location) = (String::new(), None);
    loop {
        let header = line(&mut stream)?;
        let Some((name, value)) = header.split_once(':') else {
            if header.is_empty() {
                break;
            }
            return Err(malformed(&header));
        };
        let value = value.trim();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse::<u64>().ok(),
            "transfer-encoding" => chunked = value.contains("chunked"),
            "content-type" => value
                .split(';')
                .next()
                .unwrap_or_default()
                .clone_into(&mut content_type),
            "location" => location = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = line(&mut stream)?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| malformed(&size))?;
            stream.by_ref().take(size).read_to_end(&mut body)?;
            line(&mut stream)?;
            if size == 0 {
                break;
            }
        }
    } else {
        stream.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = match text.is_empty() {
        true => Value::Null,
        false => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    };
    Ok(Answer {
        status,
        content_type,
        location,
        body,
    })
}
