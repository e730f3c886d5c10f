using System.CommandLine;
using Skep.Agent;

namespace Skep.Cli.Verbs;

/// <summary><c>skep agent</c>: the agent as a service.</summary>
internal static class AgentDaemonVerb
{
    public static Command Build()
    {
        var detach = new Option<bool>("--detach") { Description = "Remove everything from the kernel when the agent ends in order." };
        var verb = new VerbCommand(
            "agent",
            "Run the agent as a service: it watches the resources and keeps the kernel as they say. What it put into the kernel goes on working when it ends.",
            "skep agent --resources /etc/skep/resources.d", "skep agent --engine twin --pcap traffic.pcapng", "systemctl enable --now skep   (deploy/skep.service)")
        {
            detach,
        };
        var options = AgentCommandLine.On(verb, "/etc/skep/resources.d");
        return verb.Runs(async (result, cancellation) =>
        {
            await AgentRunner.RunAsync(options.Read(result) with { Detach = result.GetValue(detach) }, null, cancellation);
            return ExitCode.Ok;
        });
    }
}
