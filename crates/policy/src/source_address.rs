//! Where the holder of a key may come from, as certificates say it (`source-address` of PROTOCOL.certkeys).

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks in a list that is longer are more than anybody writes.
const MOST_NETWORKS: usize = 256;

/// Whether the address is in one of the networks (`10.0.0.0/8,2001:db8::1`); `None` where one of them cannot be read,
/// or has bits set behind its prefix, so that it says something else than it seems to.
pub fn is_from(list: &str, address: IpAddr) -> Option<bool> {
    let networks: Vec<IpNet> = list.split(',').take(MOST_NETWORKS + 1).map(network).collect::<Option<_>>()?;
    let address = address.to_canonical();
    (networks.len() <= MOST_NETWORKS).then(|| networks.iter().any(|network| network.contains(&address)))
}

fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(network) => (network.addr() == network.network()).then_some(network),
        Err(_) => text.parse::<IpAddr>().ok().map(IpNet::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_one_of_the_networks() {
        for (list, address, verdict) in [
            ("127.0.0.0/8", "127.0.0.1", Some(true)),
            ("127.0.0.0/8", "::ffff:127.0.0.1", Some(true)),
            ("10.0.0.0/8,192.0.2.7", "192.0.2.7", Some(true)),
            ("10.0.0.0/8,192.0.2.7", "192.0.2.8", Some(false)),
            ("2001:db8::/32", "2001:db8::7", Some(true)),
            ("2001:db8::/32", "10.0.0.1", Some(false)),
        ] {
            assert_eq!(is_from(list, address.parse().unwrap()), verdict, "{list} {address}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_lets_nobody_in() {
        let long = vec!["127.0.0.1"; MOST_NETWORKS + 1].join(",");
        for list in
            ["", "*", "127.0.0.1,", "127.0.0.1,db1", "127.0.0.1/8", "127.0.0.0/33", " 127.0.0.1", &long]
        {
            assert_eq!(is_from(list, IpAddr::from([127, 0, 0, 1])), None, "{list}");
        }
    }
}
