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
        return new VerbCommand(
            "down",
            "Remove all programs and maps of an agent that has ended: from now on nothing is observed, blocked or balanced. Applied resources are kept for the next start.",
            "skep down", "skep down --instance lab")
        {
            instance, bpffs,
        }.Runs(result =>
        {
            if (!Environment.IsPrivilegedProcess)
            {
                throw new VerbException("only root can take programs out of the kernel. Run it with sudo.");
            }

            var name = result.GetValue(instance)!;
            var removed = AgentRunner.Remove(new AgentOptions { Instance = name, Paths = AgentCommandLine.PathsOf(name, null, result.GetValue(bpffs)) });
            result.InvocationConfiguration.Output.WriteLine(removed == 0 ? "nothing was left in the kernel" : $"removed {removed} programs and their maps from the kernel");
            return ExitCode.Ok;
        });
    }
}
