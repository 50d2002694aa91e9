import Testing

@testable import sdagent

@Suite("Responses of the control socket are parsed without trust")
struct ControlResponseTests {
    @Test(
        "A response with a length, in chunks, or up to the end",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n005\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ])
    func whole(_ text: String) throws {
        let response = try ControlResponse(parsing: Array(text.utf8))
        #expect(response.status == 200)
        #expect(String(decoding: response.body, as: UTF8.self) == "hello")
    }

    @Test(
        "A response that ends early is said to",
        arguments: [
            "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
        ])
    func cutShort(_ text: String) {
        #expect(throws: ControlResponse.Fault.cutShort) { try ControlResponse(parsing: Array(text.utf8)) }
    }

    @Test(
        "What is not a response is refused",
        arguments: [
            "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 banana\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        ])
    func malformed(_ text: String) {
        #expect(throws: ControlResponse.Fault.malformed) { try ControlResponse(parsing: Array(text.utf8)) }
    }

    @Test("No byte, changed or missing, traps")
    func mutations() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
        let good = Array((head + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n").utf8)
        var refused = 0
        for index in good.indices {
            for value: UInt8 in [0, 0x0a, 0x0d, 0x2d, 0x39, 0x3a, 0x66, 0xff] {
                var bytes = good
                bytes[index] = value
                if (try? ControlResponse(parsing: bytes)) == nil { refused += 1 }
            }
            if (try? ControlResponse(parsing: Array(good[..<index]))) == nil { refused += 1 }
        }
        #expect(refused > good.count)
    }
}
