//! Requests and their answers, as RFC 9110 and the Fetch standard have them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::library::is_built_in;
use super::page;
use super::range::{Wanted, wanted};
use super::site::{Found, Resource, Site};

/// Methods that are answered.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// Who may read what the server has.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Whether only this machine can reach the server. Then a request under any other name is a page elsewhere that made its
    /// own name lead here (DNS rebinding), and is refused.
    pub(super) is_local: bool,
    /// The origin of pages that may read the answers, `*` for all; default those on this machine.
    pub(super) origin: Option<String>,
    /// Where the server is, for clients that do not say how they call it.
    pub(super) address: String,
}

/// Answers a request.
pub(super) fn answer<B>(site: &Site, access: &Access, request: &Request<B>) -> Response<Full<Bytes>> {
    let mut response = match authority(request) {
        Err(why) => plain(StatusCode::BAD_REQUEST, why),
        Ok(Some(host)) if access.is_local && !is_this_machine(host.host()) => {
            plain(StatusCode::FORBIDDEN, "this server answers under localhost and loopback addresses only")
        }
        Ok(host) => match *request.method() {
            Method::GET | Method::HEAD => {
                let host = host.map_or_else(|| access.address.clone(), |host| format!("http://{host}"));
                found(site, &host, request)
            }
            Method::OPTIONS => {
                let mut response = plain(StatusCode::NO_CONTENT, "");
                put(response.headers_mut(), header::ALLOW, METHODS);
                response
            }
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here");
                put(response.headers_mut(), header::ALLOW, METHODS);
                response
            }
        },
    };
    let headers = response.headers_mut();
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    put(headers, header::VARY, "Origin");
    share(access, request, headers);
    response
}

/// What the client calls the server: the authority in the request line, which goes before the `Host` header.
fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, &'static str> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.clone()));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(None),
        (Some(host), None) => {
            let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            host.filter(|host| !host.as_str().contains('@')).map(Some).ok_or("the Host header is no host")
        }
        _ => Err("a request needs one Host header"),
    }
}

/// Whether a name means the machine it is said on.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let name = bare.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Says whether the page that asks may read the answer.
fn share<B>(access: &Access, request: &Request<B>, headers: &mut HeaderMap) {
    let Some(origin) = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        // Caches keep one answer for all who do not say.
        if access.origin.as_deref() == Some("*") {
            put(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        }
        return;
    };
    let allowed = match access.origin.as_deref() {
        Some("*") => Some("*"),
        Some(one) => (one == origin).then_some(origin),
        None => {
            let host = origin.split_once("://").and_then(|(_, host)| host.parse::<Authority>().ok());
            host.is_some_and(|host| is_this_machine(host.host())).then_some(origin)
        }
    };
    let Some(allowed) = allowed else { return };
    put(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    put(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Content-Range");
    if request.method() == Method::OPTIONS {
        put(headers, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        put(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "If-None-Match, If-Range, Range");
        put(headers, header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
}

fn found<B>(site: &Site, base: &str, request: &Request<B>) -> Response<Full<Bytes>> {
    match site.find(request.uri().path(), base) {
        Ok(Found::Resource(resource)) => content(resource, request),
        Ok(Found::Hole) => plain(StatusCode::NO_CONTENT, ""),
        Ok(Found::Missing) => plain(StatusCode::NOT_FOUND, "there is nothing under this path"),
        Ok(Found::Damaged(why)) => plain(StatusCode::INTERNAL_SERVER_ERROR, &why),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A resource, or what of it the request wants. The method decides later whether its bytes go along.
fn content<B>(resource: Resource, request: &Request<B>) -> Response<Full<Bytes>> {
    let Resource { bytes, media, tag } = resource;
    let asked = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let unchanged = asked(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &tag));
    // A part is of use only with the parts that the client has already.
    let is_same = asked(header::IF_RANGE).is_none_or(|told| told == tag);
    let range = asked(header::RANGE).filter(|_| is_same && request.method() == Method::GET);
    let len = bytes.len();
    let (status, part, place) = match range.map_or(Wanted::All, |range| wanted(range, len)) {
        _ if unchanged => (StatusCode::NOT_MODIFIED, Bytes::new(), None),
        Wanted::All => (StatusCode::OK, bytes, None),
        Wanted::Part(first, last) => {
            let place = format!("bytes {first}-{last}/{len}");
            (StatusCode::PARTIAL_CONTENT, bytes.slice(first..=last), Some(place))
        }
        Wanted::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{len}"))),
    };
    let mut response = Response::new(Full::new(part));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    put(headers, header::ETAG, &tag);
    // The set may be made anew under the same name: clients ask each time whether it has changed.
    put(headers, header::CACHE_CONTROL, "no-cache");
    put(headers, header::ACCEPT_RANGES, "bytes");
    if let Some(place) = place {
        put(headers, header::CONTENT_RANGE, &place);
    }
    if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        put(headers, header::CONTENT_TYPE, media);
    }
    if media.starts_with("text/html") {
        put(headers, header::CONTENT_SECURITY_POLICY, &page::policy(is_built_in()));
    }
    response
}

/// Whether a list of entity tags names one, strong or weak.
fn names(tags: &str, tag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// An answer of one line, or of none.
fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = if text.is_empty() { String::new() } else { format!("{text}\n") };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if !text.is_empty() {
        put(response.headers_mut(), header::CONTENT_TYPE, "text/plain; charset=utf-8");
    }
    response
}

/// Sets a header. Values that cannot stand in one are left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["localhost", "LOCALHOST", "a.localhost", "localhost.", "127.0.0.1", "127.8.9.1", "[::1]"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in
            ["example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "0.0.0.0", ""]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn entity_tags_are_found_in_lists() {
        assert!(names(r#""a""#, r#""a""#) && names(r#""b", W/"a""#, r#""a""#) && names("*", r#""a""#));
        assert!(!names(r#""b""#, r#""a""#) && !names("", r#""a""#) && !names("a", r#""a""#));
    }
}
