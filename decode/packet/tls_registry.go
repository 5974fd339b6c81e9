package packet

import "encoding/hex"

// isGrease reports whether v is one of the values that clients send so that
// servers get used to unknown ones. Source: RFC 8701, section 2.
func isGrease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// tlsExtensionName returns the name of an extension, "" if it is not listed.
// Source: the IANA registry of TLS extensions.
func tlsExtensionName(typ uint16) string {
	if isGrease(typ) {
		return "Reserved (GREASE)"
	}
	return tlsExtensionNames[typ]
}

var tlsExtensionNames = map[uint16]string{
	0: "server_name", 1: "max_fragment_length", 5: "status_request", 10: "supported_groups", 11: "ec_point_formats",
	13: "signature_algorithms", 14: "use_srtp", 15: "heartbeat", 16: "application_layer_protocol_negotiation", 17: "status_request_v2",
	18: "signed_certificate_timestamp", 21: "padding", 22: "encrypt_then_mac", 23: "extended_master_secret", 24: "token_binding",
	27: "compress_certificate", 28: "record_size_limit", 34: "delegated_credentials", 35: "session_ticket", 41: "pre_shared_key",
	42: "early_data", 43: "supported_versions", 44: "cookie", 45: "psk_key_exchange_modes", 47: "certificate_authorities",
	49: "post_handshake_auth", 50: "signature_algorithms_cert", 51: "key_share", 57: "quic_transport_parameters",
	13172: "next_protocol_negotiation", 17513: "application_settings", 30032: "channel_id", 65037: "encrypted_client_hello",
	65281: "renegotiation_info", 65445: "quic_transport_parameters (drafts version)",
}

// tlsSuiteName returns the name of a cipher suite: those that clients offer
// today, and those of old ones. Source: the IANA registry of TLS cipher suites.
func tlsSuiteName(suite uint16) string {
	if isGrease(suite) {
		return "Reserved (GREASE)"
	}
	if name := tlsSuiteNames[suite]; name != "" {
		return "TLS_" + name
	}
	return "Unknown"
}

var tlsSuiteNames = map[uint16]string{
	0x0004: "RSA_WITH_RC4_128_MD5", 0x0005: "RSA_WITH_RC4_128_SHA", 0x000a: "RSA_WITH_3DES_EDE_CBC_SHA",
	0x0016: "DHE_RSA_WITH_3DES_EDE_CBC_SHA", 0x002f: "RSA_WITH_AES_128_CBC_SHA", 0x0032: "DHE_DSS_WITH_AES_128_CBC_SHA",
	0x0033: "DHE_RSA_WITH_AES_128_CBC_SHA", 0x0035: "RSA_WITH_AES_256_CBC_SHA", 0x0038: "DHE_DSS_WITH_AES_256_CBC_SHA",
	0x0039: "DHE_RSA_WITH_AES_256_CBC_SHA", 0x003c: "RSA_WITH_AES_128_CBC_SHA256", 0x003d: "RSA_WITH_AES_256_CBC_SHA256",
	0x0067: "DHE_RSA_WITH_AES_128_CBC_SHA256", 0x006b: "DHE_RSA_WITH_AES_256_CBC_SHA256",
	0x009c: "RSA_WITH_AES_128_GCM_SHA256", 0x009d: "RSA_WITH_AES_256_GCM_SHA384",
	0x009e: "DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009f: "DHE_RSA_WITH_AES_256_GCM_SHA384", 0x00ff: "EMPTY_RENEGOTIATION_INFO_SCSV",
	0x1301: "AES_128_GCM_SHA256", 0x1302: "AES_256_GCM_SHA384", 0x1303: "CHACHA20_POLY1305_SHA256",
	0x1304: "AES_128_CCM_SHA256", 0x1305: "AES_128_CCM_8_SHA256", 0x5600: "FALLBACK_SCSV",
	0xc007: "ECDHE_ECDSA_WITH_RC4_128_SHA", 0xc008: "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA",
	0xc009: "ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc00a: "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
	0xc011: "ECDHE_RSA_WITH_RC4_128_SHA", 0xc012: "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
	0xc013: "ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc014: "ECDHE_RSA_WITH_AES_256_CBC_SHA",
	0xc023: "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xc024: "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
	0xc027: "ECDHE_RSA_WITH_AES_128_CBC_SHA256", 0xc028: "ECDHE_RSA_WITH_AES_256_CBC_SHA384",
	0xc02b: "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02c: "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	0xc02f: "ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc030: "ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	0xcc13: "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcc14: "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	0xcca8: "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9: "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	0xccaa: "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}

// certAttribute returns the name of an attribute's type, its DER in hex if it
// is not listed. Source: RFC 5280, appendix A.1.
func certAttribute(oid []byte) string {
	switch string(oid) {
	case OIDCommonName:
		return "id-at-commonName"
	case OIDCountry:
		return "id-at-countryName"
	case "\x55\x04\x05":
		return "id-at-serialNumber"
	case "\x55\x04\x07":
		return "id-at-localityName"
	case "\x55\x04\x08":
		return "id-at-stateOrProvinceName"
	case "\x55\x04\x0a":
		return "id-at-organizationName"
	case "\x55\x04\x0b":
		return "id-at-organizationalUnitName"
	}
	return hex.EncodeToString(oid)
}
