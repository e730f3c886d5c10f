using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf;
using Skep.Bpf.Features;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf features</c>: what the kernel offers to this process.</summary>
internal static class BpfFeaturesVerb
{
    public static Command Build()
    {
        var token = new Option<string?>("--token") { Description = "What the BPF token of the bpffs mounted there allows (kernel 6.9), instead of what this process may.", HelpName = "directory" };
        var json = CommonOptions.Json();
        return new VerbCommand("features", "Try what the kernel offers: program kinds, map kinds, calls; with the first version that has each, and why not.", "skep bpf features", "skep bpf features --json")
        {
            token, json,
        }.Runs(result =>
        {
            using var permission = result.GetValue(token) is { } directory ? BpfToken.Create(directory) : null;
            var all = FeatureProbe.All(permission);
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonObject
                {
                    ["kernel"] = FeatureProbe.RunningKernel.ToString(),
                    ["features"] = new JsonArray([.. all.Select(f => (JsonNode)new JsonObject
                    {
                        ["name"] = f.Name, ["available"] = f.Available, ["since"] = f.MinimumKernel.ToString(2), ["reason"] = f.Reason, ["use"] = f.Use,
                    })]),
                }.ToJsonString());
                return ExitCode.Ok;
            }

            output.WriteLine($"kernel {FeatureProbe.RunningKernel}");
            var table = Screen.Table("feature", "here", "since", "use", "why not");
            foreach (var f in all)
            {
                table.AddRow(f.Name, f.Available ? "yes" : "no", f.MinimumKernel.ToString(2), f.Use, Markup.Escape(Safe.Text(f.Reason)));
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }
}
