import ArgumentParser

@main
struct SDAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sdagent")
}
