import Foundation
import Manifest

/// The part of JSON Schema (draft 2020-12) that `configs/schema.json` uses, applied to nodes of a manifest.
///
/// A word that it does not know is a complaint, so that the schema cannot promise more than is checked here.
struct Schema {
    let root: [String: Any]

    init(json: Data) throws {
        guard let root = try JSONSerialization.jsonObject(with: json) as? [String: Any] else {
            throw Problem("the schema is not an object")
        }
        self.root = root
    }

    struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// What is wrong with a value, each with its path; empty where nothing is.
    func complaints(_ node: Node, path: String = "") throws -> [String] {
        try check(node, root, path)
    }

    private static let silent: Set = ["$schema", "$id", "$defs", "title", "description"]

    private func check(_ node: Node, _ schema: [String: Any], _ path: String) throws -> [String] {
        var found: [String] = []
        for (word, value) in schema where !Self.silent.contains(word) {
            switch (word, value) {
            case ("$ref", let target as String): found += try check(node, definition(target), path)
            case ("type", let type as String): found += complain(node, [type], path)
            case ("type", let types as [String]): found += complain(node, types, path)
            case ("enum", let choices as [String]):
                if !choices.contains(node.text ?? "") { found.append("\(path): none of \(choices)") }
            case ("pattern", let pattern as String): found += try complain(node.text, pattern, path)
            case ("minimum", let limit as Int):
                if let number = node.text.flatMap({ Int($0) }), number < limit {
                    found.append("\(path): below \(limit)")
                }
            case ("maximum", let limit as Int):
                if let number = node.text.flatMap({ Int($0) }), number > limit {
                    found.append("\(path): above \(limit)")
                }
            case ("maxLength", let limit as Int):
                if (node.text?.count ?? 0) > limit { found.append("\(path): longer than \(limit)") }
            case ("minItems", let limit as Int):
                if node.items.count < limit { found.append("\(path): fewer than \(limit)") }
            case ("items", let items as [String: Any]):
                for (index, item) in node.items.enumerated() { found += try check(item, items, "\(path)[\(index)]") }
            case ("oneOf", let choices as [[String: Any]]):
                let results = try choices.map { try check(node, $0, path) }
                let count = results.count { $0.isEmpty }
                if count == 0 { found += results.flatMap(\.self) }
                if count > 1 { found.append("\(path): \(count) alternatives fit") }
            case ("required", let keys as [String]):
                let missing = keys.filter { key in !node.entries.contains { $0.key == key } }
                found += missing.map { "\(path): '\($0)' is missing" }
            case ("propertyNames", let names as [String: Any]):
                guard let pattern = names["pattern"] as? String else {
                    throw Problem("propertyNames without a pattern")
                }
                for entry in node.entries { found += try complain(entry.key, pattern, "\(path).\(entry.key)") }
            case ("properties", let properties as [String: [String: Any]]):
                for entry in node.entries {
                    guard let schema = properties[entry.key] else { continue }
                    found += try check(entry.value, schema, "\(path).\(entry.key)")
                }
            case ("additionalProperties", let allowed): found += try checkOthers(node, schema, allowed, path)
            default: throw Problem("the schema has '\(word)', which is not checked")
            }
        }
        return found
    }

    private func checkOthers(_ node: Node, _ schema: [String: Any], _ allowed: Any, _ path: String) throws -> [String] {
        let known = schema["properties"] as? [String: Any] ?? [:]
        let others = node.entries.filter { known[$0.key] == nil }
        switch allowed {
        case let values as [String: Any]: return try others.flatMap { try check($0.value, values, "\(path).\($0.key)") }
        case false as Bool: return others.map { "\(path): unknown field '\($0.key)'" }
        default: throw Problem("additionalProperties is neither false nor a schema")
        }
    }

    private func definition(_ target: String) throws -> [String: Any] {
        let name = target.split(separator: "/").last.map(String.init) ?? ""
        let definitions = root["$defs"] as? [String: [String: Any]] ?? [:]
        guard target == "#/$defs/\(name)", let schema = definitions[name] else {
            throw Problem("the schema refers to '\(target)', which is not there")
        }
        return schema
    }

    private func complain(_ node: Node, _ types: [String], _ path: String) -> [String] {
        types.contains(node.jsonType) ? [] : ["\(path): \(node.jsonType), not \(types.joined(separator: " or "))"]
    }

    private func complain(_ text: String?, _ pattern: String, _ path: String) throws -> [String] {
        guard let text else { return [] }
        return try text.contains(Regex(pattern)) ? [] : ["\(path): '\(text)' does not fit"]
    }
}

extension Node {
    fileprivate var text: String? {
        guard case .scalar(let text, _) = content, !isNull else { return nil }
        return text
    }

    fileprivate var entries: [Entry] {
        guard case .mapping(let entries) = content else { return [] }
        return entries
    }

    fileprivate var items: [Node] {
        guard case .sequence(let items) = content else { return [] }
        return items
    }

    /// The type that an editor takes a value for (YAML 1.2 core schema).
    fileprivate var jsonType: String {
        switch content {
        case .mapping: "object"
        case .sequence: "array"
        case .scalar(_, isPlain: false): "string"
        case .scalar(let text, isPlain: true):
            if isNull {
                "null"
            } else if text == "true" || text == "false" {
                "boolean"
            } else if Int(text) != nil {
                "integer"
            } else if Double(text) != nil {
                "number"
            } else {
                "string"
            }
        }
    }
}
