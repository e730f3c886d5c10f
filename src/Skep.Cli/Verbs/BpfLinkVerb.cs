using System.CommandLine;
using Skep.Bpf.Elf.Linking;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf link</c>: one object of several.</summary>
internal static class BpfLinkVerb
{
    public static Command Build()
    {
        var output = new Option<string>("--output", "-o") { Description = "File to write.", Required = true };
        var paths = BpfLoadVerb.Objects();
        return new VerbCommand(
            "link", "Make one object file of several: what one declares is what another defines.", "skep bpf link -o all.o main.o library.o")
        {
            output, paths,
        }.Runs(result => Run(result, result.GetValue(paths)!, result.GetValue(output)!));
    }

    private static int Run(ParseResult result, string[] paths, string output)
    {
        var linked = BpfLoadVerb.Reading(paths, () => ObjectLinker.Link(paths));
        try
        {
            File.WriteAllBytes(output, linked);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VerbException($"{Safe.Text(output)} cannot be written: {Safe.Text(e.Message)}");
        }

        result.InvocationConfiguration.Output.WriteLine($"{Safe.Text(output)}: {linked.Length} bytes from {paths.Length} objects");
        return ExitCode.Ok;
    }
}
