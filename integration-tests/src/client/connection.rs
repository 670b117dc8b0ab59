use std::{
    collections::HashMap,
    fmt::Display,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiVersionsRequest, RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request},
};

use super::string;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// One connection: one request, one answer, in turn.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    spoken: HashMap<i16, (i16, i16)>,
    correlation_id: i32,
}

impl Connection {
    pub(super) fn open(address: &str) -> io::Result<Self> {
        let resolved = address.to_socket_addrs()?.next().ok_or_else(|| invalid("no address"))?;
        let stream = TcpStream::connect_timeout(&resolved, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut connection = Self {
            stream,
            spoken: HashMap::new(),
            correlation_id: 0,
        };
        let versions = connection.exchange(0, &ApiVersionsRequest::default())?;
        connection.spoken = versions
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(connection)
    }

    pub(super) fn call<R: Request>(&mut self, wanted: i16, request: &R) -> io::Result<R::Response> {
        let Some(&(min, max)) = self.spoken.get(&R::KEY) else {
            return Err(invalid(format!("the broker does not know api key {}", R::KEY)));
        };
        let version = wanted.min(max);
        if version < min {
            return Err(invalid(format!(
                "the broker speaks {min} to {max} of api key {}, not {wanted}",
                R::KEY
            )));
        }
        self.exchange(version, request)
    }

    fn exchange<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(string("scenario")));
        let mut frame = BytesMut::from(&[0; 4][..]);
        header.encode(&mut frame, R::header_version(version)).map_err(invalid)?;
        request.encode(&mut frame, version).map_err(invalid)?;
        let size = u32::try_from(frame.len() - 4).map_err(invalid)?;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        self.stream.write_all(&frame)?;

        let mut answer = self.read_frame()?;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(invalid)?;
        if header.correlation_id != self.correlation_id {
            return Err(invalid(format!(
                "answer {} to question {}",
                header.correlation_id, self.correlation_id
            )));
        }
        R::Response::decode(&mut answer, version).map_err(invalid)
    }

    fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = u32::from_be_bytes(size) as usize;
        if size > MAX_ANSWER_BYTES {
            return Err(invalid(format!("an answer of {size} bytes")));
        }
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.into())
    }
}

fn invalid(what: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}
