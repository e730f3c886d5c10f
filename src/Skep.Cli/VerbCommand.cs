using System.CommandLine;
using System.CommandLine.Help;

namespace Skep.Cli;

/// <summary>A verb of the command line, with examples in its help.</summary>
internal sealed class VerbCommand(string name, string description, params string[] examples) : Command(name, description)
{
    public IReadOnlyList<string> Examples { get; } = examples;

    /// <summary>What the verb does; what it returns is the exit code.</summary>
    public VerbCommand Runs(Func<ParseResult, CancellationToken, Task<int>> action)
    {
        SetAction(async (result, stop) =>
        {
            // The library begins to listen for Ctrl-C when it has been given the task: not before it does what must be undone.
            await Task.Yield();
            return await action(result, stop);
        });
        return this;
    }

    /// <summary>What the verb does when it does not wait for anything.</summary>
    public VerbCommand Runs(Func<ParseResult, int> action)
    {
        SetAction(action);
        return this;
    }
}

/// <summary>The built-in help, followed by the examples of the verb.</summary>
internal sealed class HelpWithExamples(HelpAction builtIn) : System.CommandLine.Invocation.SynchronousCommandLineAction
{
    // Help is an answer even when required arguments are missing.
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        // The built-in help calls the command after the file it runs from, which is not what people type.
        var configuration = parseResult.InvocationConfiguration;
        var output = configuration.Output;
        using var text = new StringWriter();
        configuration.Output = text;
        builtIn.Invoke(parseResult);
        configuration.Output = output;
        output.Write(text.ToString().Replace(RootCommand.ExecutableName, "skep", StringComparison.Ordinal));
        if (parseResult.CommandResult.Command is VerbCommand { Examples.Count: > 0 } verb)
        {
            output.WriteLine("Examples:");
            foreach (var example in verb.Examples)
            {
                output.WriteLine($"  {example}");
            }

            output.WriteLine();
        }

        return ExitCode.Ok;
    }
}
