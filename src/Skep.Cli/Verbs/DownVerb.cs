using System.CommandLine;
using Skep.Agent;

namespace Skep.Cli.Verbs;

/// <summary><c>skep down</c>: take everything out of the kernel.</summary>
internal static class DownVerb
{
    public static Command Build()
    {
        var instance = CommonOptions.Instance();
        var bpffs = new Option<string?>("--bpffs") { Description = "Where the BPF file system is mounted (/sys/fs/bpf).", HelpName = "directory" };
        var state = new Option<string?>("--state") { Description = "Directory for what was applied and blocked by command.", HelpName = "directory" };
        var forget = new Option<bool>("--forget") { Description = "Also forget what was applied and blocked by command." };
        return new VerbCommand(
            "down",
            "Remove all programs and maps of an agent that has ended: from now on nothing is observed, blocked or balanced. Applied resources are kept for the next start unless told to forget them.",
            "skep down", "skep down --instance lab --forget")
        {
            instance, forget, state, bpffs,
        }.Runs(result =>
        {
            if (!Environment.IsPrivilegedProcess)
            {
                throw new VerbException("only root can take programs out of the kernel. Run it with sudo.");
            }

            var name = result.GetValue(instance)!;
            var removed = AgentRunner.Remove(new AgentOptions { Instance = name, Paths = AgentCommandLine.PathsOf(name, result.GetValue(state), result.GetValue(bpffs)) }, result.GetValue(forget));
            result.InvocationConfiguration.Output.WriteLine(removed == 0 ? "nothing was left in the kernel" : $"removed {removed} programs and their maps from the kernel");
            return ExitCode.Ok;
        });
    }
}
