using System.CommandLine;
using System.CommandLine.Help;
using System.Net.Sockets;
using Skep.Agent;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Cli.Lab;
using Skep.Cli.Output;
using Skep.Cli.Verbs;
using Skep.Engine;
using Skep.Resources.Reading;

namespace Skep.Cli;

/// <summary>The <c>skep</c> command: the verbs in the order of the help.</summary>
internal static class SkepCommand
{
    /// <summary>Every verb; the order is that of the help, from the first thing a person does to the last.</summary>
    public static IReadOnlyList<(string Name, Func<Command> Build)> Verbs { get; } =
    [
        ("up", UpVerb.Build),
        ("lab", LabCommand.Create),
        ("apply", ApplyVerb.Build),
        ("status", StatusVerb.Build),
        ("flows", FlowsVerb.Build),
        ("top", TopVerb.Build),
        ("drops", DropsVerb.Build),
        ("block", BlockVerb.Build),
        ("unblock", UnblockVerb.Build),
        ("backends", BackendsVerb.Build),
        ("drain", DrainVerb.Build),
        ("lb", LbVerb.Build),
        ("replay", ReplayVerb.Build),
        ("compile", CompileVerb.Build),
        ("bpf", BpfVerb.Build),
        ("gen", GenVerb.Build),
        ("doctor", DoctorVerb.Build),
        ("metrics", MetricsVerb.Build),
        ("schema", SchemaVerb.Build),
        ("agent", AgentDaemonVerb.Build),
        ("down", DownVerb.Build),
        ("completion", CompletionVerb.Build),
    ];

    /// <summary>The command with all its verbs, or with the one that is asked for: building the others is half of what a short command takes.</summary>
    /// <param name="verb">Name of the verb; all verbs when null or not the name of one.</param>
    /// <param name="part">What follows it: of verbs with verbs of their own only that one is built.</param>
    public static RootCommand Build(string? verb = null, string? part = null)
    {
        var root = new RootCommand("Skep: an eBPF network platform. Begin with 'skep up': it observes and changes nothing.");
        var only = Verbs.FirstOrDefault(v => v.Name == verb).Build;
        if (verb == "bpf")
        {
            root.Add(BpfVerb.Build(part));
        }
        else
        {
            foreach (var (_, build) in Verbs)
            {
                if (only is null || build == only)
                {
                    root.Add(build());
                }
            }
        }

        // The option is recursive: the one of the root serves every verb.
        var help = root.Options.OfType<HelpOption>().Single();
        var action = new HelpWithExamples((HelpAction)help.Action!);
        help.Action = action;
        root.SetAction(result =>
        {
            action.Invoke(result);
            return ExitCode.Usage;
        });
        return root;
    }

    public static async Task<int> RunAsync(string[] arguments, TextWriter? output = null, TextWriter? error = null)
    {
        error ??= Console.Error;
        var root = Build(arguments.ElementAtOrDefault(0), arguments.ElementAtOrDefault(1));
        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0 && parsed.Action is System.CommandLine.Invocation.ParseErrorAction)
        {
            foreach (var problem in parsed.Errors)
            {
                error.WriteLine($"skep: {Safe.Text(InWords(problem.Message))}");
            }

            if (arguments.Length > 0 && !root.Subcommands.Any(c => c.Name == arguments[0]) && NearestName.Of(arguments[0], root.Subcommands.Select(c => c.Name)) is { } near)
            {
                error.WriteLine($"Did you mean 'skep {near}'?");
            }

            foreach (var (wrong, meant) in NearOptions(parsed))
            {
                error.WriteLine($"Did you mean '{meant}' instead of '{Safe.Text(wrong)}'?");
            }

            error.WriteLine($"Try '{Path(parsed)} --help'.");
            return ExitCode.Usage;
        }

        var configuration = new InvocationConfiguration
        {
            Output = output ?? Console.Out,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // The agent needs a moment to let go of the kernel in order.
            ProcessTerminationTimeout = TimeSpan.FromSeconds(10),
        };
        try
        {
            return await parsed.InvokeAsync(configuration);
        }
        catch (VerbException e)
        {
            error.WriteLine($"skep: {Safe.Lines(e.Message)}");
            return e.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Failed;
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.Shutdown } || e.Message.Contains("Broken pipe", StringComparison.Ordinal))
        {
            // The reader of a pipe went away ('skep flows | head'): that is how it says enough.
            return ExitCode.Ok;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or AgentException or LayoutException or BpfException or CompileException or NotSupportedException)
        {
            error.WriteLine($"skep: {Safe.Lines(e.Message)}");
            return ExitCode.Failed;
        }
    }

    private static IEnumerable<(string Wrong, string Meant)> NearOptions(ParseResult parsed)
    {
        string[] known = [.. parsed.CommandResult.Command.Options.Select(o => o.Name)];
        foreach (var word in parsed.UnmatchedTokens.Where(t => t.StartsWith("--", StringComparison.Ordinal)))
        {
            // People shorten words, which is no slip of the fingers.
            if ((known.Where(k => word.Length > 3 && k.StartsWith(word, StringComparison.Ordinal)).ToArray() is [var only] ? only : NearestName.Of(word, known)) is { } meant)
            {
                yield return (word, meant);
            }
        }
    }

    private static string Path(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (var result = parsed.CommandResult; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
        {
            names.Push(result.Command is RootCommand ? "skep" : result.Command.Name);
        }

        return string.Join(' ', names);
    }

    // The parser lists choices on lines of their own and names types of the framework.
    private static string InWords(string message)
    {
        const string type = " as expected type '";
        var text = message.Replace(":\n\t", ": ", StringComparison.Ordinal).Replace("\n\t", ", ", StringComparison.Ordinal);
        return text.IndexOf(type, StringComparison.Ordinal) is >= 0 and var at
            ? text[..at] + (text.Contains("Double", StringComparison.Ordinal) ? ": it takes a number." : ": it takes a whole number.")
            : text;
    }
}
