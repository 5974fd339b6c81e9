package packet

// tlsVersionName returns what the protocol column says of a version, "" if it
// is none. Drafts of TLS 1.3 count as TLS 1.3.
func tlsVersionName(v uint16) string {
	switch v {
	case 0x0300:
		return "SSLv3"
	case 0x0301:
		return "TLSv1"
	case 0x0302:
		return "TLSv1.1"
	case 0x0303:
		return "TLSv1.2"
	case 0x0304:
		return "TLSv1.3"
	case 0x0101:
		return "TLCP"
	}
	if v>>8 == 0x7f || v>>8 == 0xfb {
		return "TLSv1.3"
	}
	return ""
}

// tlsHandshakeName returns the name of a handshake message, "" if there is no
// such type. Source: the IANA registry of TLS parameters, in tshark's words.
func tlsHandshakeName(typ uint8) string {
	switch typ {
	case 0:
		return "Hello Request"
	case 1:
		return "Client Hello"
	case 2:
		return "Server Hello"
	case 3:
		return "Hello Verify Request"
	case 4:
		return "New Session Ticket"
	case 5:
		return "End of Early Data"
	case 6:
		return "Hello Retry Request"
	case 8:
		return "Encrypted Extensions"
	case 11:
		return "Certificate"
	case 12:
		return "Server Key Exchange"
	case 13:
		return "Certificate Request"
	case 14:
		return "Server Hello Done"
	case 15:
		return "Certificate Verify"
	case 16:
		return "Client Key Exchange"
	case 20:
		return "Finished"
	case 21:
		return "Client Certificate URL"
	case 22:
		return "Certificate Status"
	case 23:
		return "Supplemental Data"
	case 24:
		return "Key Update"
	case 25:
		return "Compressed Certificate"
	case 67:
		return "Encrypted Extensions"
	}
	return ""
}

func tlsContentName(typ uint8) string {
	return lookup(tlsContentNames[:], int(typ)-TLSChangeCipherSpec)
}

var tlsContentNames = [...]string{"Change Cipher Spec", "Alert", "Handshake", "Application Data", "Heartbeat"}

func tlsAlertLevel(level uint8) string {
	switch level {
	case 1:
		return "Warning"
	case 2:
		return "Fatal"
	}
	return ""
}

// tlsAlertName returns the name of an alert, "" if there is none.
func tlsAlertName(desc uint8) string {
	for i, d := range tlsAlertNumbers {
		if d == desc {
			return tlsAlertNames[i]
		}
	}
	return ""
}

var tlsAlertNumbers = [...]uint8{0, 1, 10, 20, 21, 22, 30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86, 90, 100, 109, 110, 111, 112, 113, 114, 115, 116, 120, 121}

var tlsAlertNames = [...]string{
	"Close Notify", "End of Early Data", "Unexpected Message", "Bad Record MAC", "Decryption Failed", "Record Overflow",
	"Decompression Failure", "Handshake Failure", "No Certificate", "Bad Certificate", "Unsupported Certificate",
	"Certificate Revoked", "Certificate Expired", "Certificate Unknown", "Illegal Parameter", "Unknown CA", "Access Denied",
	"Decode Error", "Decrypt Error", "Export Restriction", "Protocol Version", "Insufficient Security", "Internal Error",
	"Inappropriate Fallback", "User Canceled", "No Renegotiation", "Missing Extension", "Unsupported Extension",
	"Certificate Unobtainable", "Unrecognized Name", "Bad Certificate Status Response", "Bad Certificate Hash Value",
	"Unknown PSK Identity", "Certificate Required", "No application Protocol", "ECH Required",
}
