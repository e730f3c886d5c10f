using System.CommandLine;
using Skep.Resources;

namespace Skep.Cli.Verbs;

/// <summary><c>skep schema</c>: the JSON Schema of resource files.</summary>
internal static class SchemaVerb
{
    public static Command Build() => new VerbCommand(
        "schema",
        "Print the JSON Schema of resource files, for editors and checks before apply.",
        "skep schema > skep.schema.json",
        "# yaml-language-server: $schema=skep.schema.json   (first line of a resource file)").Runs(result =>
        {
            result.InvocationConfiguration.Output.Write(ResourceSchema.Json);
            return ExitCode.Ok;
        });
}
