using System.Diagnostics;

namespace Skep.Benchmarks.Balancing;

/// <summary>Programs of the system, in namespaces by <c>ip netns exec</c>.</summary>
internal static class NamespaceTool
{
    /// <summary>Runs a program to its end and gives what it printed.</summary>
    internal static string Run(string program, params string[] arguments)
    {
        using var process = Start(program, arguments);
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {errors.Result}{output}");
    }

    /// <summary>The arguments of a shell that enters a control group and becomes a program in a namespace.</summary>
    internal static string[] InGroup(string cgroup, string name, string[] command) =>
        ["-c", "echo $$ >\"$0\"/cgroup.procs && exec ip netns exec \"$@\"", cgroup, name, .. command];

    /// <summary>Starts a program that goes on.</summary>
    internal static Process Start(string program, params string[] arguments) => Process.Start(new ProcessStartInfo(program, arguments)
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
