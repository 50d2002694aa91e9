import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import Syscall
import SystemPackage

/// The daemon's side of the control socket: HTTP and JSON, for the commands and for curl alike.
struct ControlServer: Service {
    let agent: Agent
    let socketPath: String
    let logger: Logger

    /// The largest manifest; in JSON its text may take twice the room.
    static let manifestLimit = 16 * 1024 * 1024
    /// More wait until one of these ends.
    private static let connectionLimit = 64

    func run() async throws {
        var quiet = logger
        // It reports each start and each connection; what matters of it is said elsewhere.
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            router: router,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    idleTimeout: .seconds(30),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 8 * 1024, maxHeaderListSize: 16 * 1024, maxHeaderFieldCount: 64))),
            configuration: ApplicationConfiguration(
                address: .unixDomainSocket(path: socketPath), serverName: "sdagent/\(SDAgent.version)", backlog: 64,
                availableConnectionsDelegate: .maximum(Self.connectionLimit, logger: quiet)),
            onServerRunning: { [logger, socketPath] _ in logger.info("answering on \(socketPath)") },
            logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            let reason = Errno(rawValue: error.errnoCode)
            throw CommandError("cannot answer on \(socketPath): \(reason); give another place with --socket")
        }
    }

    private var router: Router<BasicRequestContext> {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: JSONErrors(logger: logger))
        router.get("/v1/version") { _, _ in
            try Self.json(VersionDocument(version: SDAgent.version, pid: OwnProcess.id))
        }
        router.get("/v1/status") { [agent] _, _ in try Self.json(await agent.status) }
        router.get("/v1/denied") { [agent] _, _ in try Self.json(try await agent.denied()) }
        router.get("/metrics") { [agent] _, _ in
            Self.answer(await agent.metrics, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.post("/v1/plan") { [agent] request, _ in
            try Self.json(try await agent.plan(try await ManifestBody.read(request)))
        }
        router.post("/v1/apply") { [agent] request, _ in
            try Self.json(try await agent.apply(try await ManifestBody.read(request)))
        }
        router.post("/v1/reconcile") { [agent] _, _ in
            guard let apply = try await agent.reconcile() else {
                throw HTTPError(.conflict, message: "there is no desired state yet: apply a manifest first")
            }
            return try Self.json(apply)
        }
        return router
    }

    static func json(_ document: some Encodable, status: HTTPTypes.HTTPResponse.Status = .ok) throws -> Response {
        answer(try JSONText.pretty(document), type: "application/json", status: status)
    }

    private static func answer(
        _ text: String, type: String, status: HTTPTypes.HTTPResponse.Status = .ok
    ) -> Response {
        let body = ResponseBody(byteBuffer: ByteBuffer(string: text))
        return Response(status: status, headers: [.contentType: type], body: body)
    }
}

/// Turns every error into JSON with a sentence in it.
private struct JSONErrors: RouterMiddleware {
    typealias Context = BasicRequestContext

    let logger: Logger

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError {
            let known = "GET /v1/status, /v1/denied, /v1/version, /metrics; POST /v1/plan, /v1/apply, /v1/reconcile"
            let fallback = error.status == .notFound ? "nothing answers here: \(known)" : error.status.reasonPhrase
            return try ControlServer.json(ErrorDocument(error.body ?? fallback), status: error.status)
        } catch let error as ManifestMistakes {
            return try ControlServer.json(
                ErrorDocument("the manifest has mistakes", mistakes: error.description), status: .unprocessableContent)
        } catch let error as CrowdedError {
            return try ControlServer.json(ErrorDocument("\(error)"), status: .serviceUnavailable)
        } catch let error as LockedError {
            return try ControlServer.json(ErrorDocument("\(error)"), status: .conflict)
        } catch let error as ClaimError {
            return try ControlServer.json(ErrorDocument("\(error)"), status: .conflict)
        } catch is NIOTooManyBytesError {
            let limit = ControlServer.manifestLimit >> 20
            return try ControlServer.json(
                ErrorDocument("the manifest is larger than \(limit) MiB"), status: .contentTooLarge)
        } catch {
            logger.error("\(request.method.rawValue) \(request.uri.path): \(error)")
            return try ControlServer.json(ErrorDocument("\(error)"), status: .internalServerError)
        }
    }
}

/// Reads the manifest of a request: our JSON, or plain YAML as `curl --data-binary @FILE` sends it.
private enum ManifestBody {
    static func read(_ request: Request) async throws -> ManifestRequest {
        let isJSON = request.headers[.contentType]?.lowercased().hasPrefix("application/json") ?? false
        let limit = ControlServer.manifestLimit * (isJSON ? 2 : 1)
        let bytes = Array(try await request.body.collect(upTo: limit).readableBytesView)
        guard isJSON else { return try plain(bytes, request) }
        let manifest: ManifestRequest
        do {
            manifest = try JSONText.decode(ManifestRequest.self, bytes)
        } catch {
            throw HTTPError(.badRequest, message: "the body is not the JSON of a manifest: \(words(error))")
        }
        if let fault = manifest.fault { throw HTTPError(.badRequest, message: fault) }
        guard manifest.files.map(\.text.utf8.count).reduce(0, +) <= ControlServer.manifestLimit else {
            throw NIOTooManyBytesError(maxBytes: ControlServer.manifestLimit)
        }
        return manifest
    }

    private static func plain(_ bytes: [UInt8], _ request: Request) throws -> ManifestRequest {
        let directory = request.uri.queryParameters["directory"].map(String.init) ?? "/"
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw HTTPError(.badRequest, message: "the body is not UTF-8 text")
        }
        let manifest = ManifestRequest(files: [.init(file: "request", directory: directory, text: text)])
        if let fault = manifest.fault { throw HTTPError(.badRequest, message: fault) }
        return manifest
    }

    /// What a decoder's error says, without the types of our program.
    private static func words(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .keyNotFound(let key, let context): return "'\(key.stringValue)' is missing\(place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            return context.debugDescription + place(context)
        @unknown default: return "it cannot be decoded"
        }
    }

    private static func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        return path.isEmpty ? "" : " (in \(path))"
    }
}
