using System.Reflection;
using Xunit.Sdk;
using Xunit.v3;

// Namespaces, ports and processors are shared with everything else on the machine.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace Skep.EndToEndTests.Surroundings;

/// <summary>The checkout that the tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Configuration { get; } =
        typeof(Repository).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    /// <summary>Runs the command line as users do: a process of its own.</summary>
    public static ChildProcess Skep(params string[] arguments) =>
        ChildProcess.Start("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "Skep.Cli.dll"), .. arguments]);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "skep.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"no skep.slnx above {AppContext.BaseDirectory}");
    }
}
