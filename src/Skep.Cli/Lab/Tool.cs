using System.ComponentModel;
using System.Diagnostics;

namespace Skep.Cli.Lab;

/// <summary>Runs a command of the system (ip, tc, nginx -t) to its end. A failure carries the command and what it said.</summary>
internal static class Tool
{
    internal static string Run(string program, params ReadOnlySpan<string> arguments) => Run(program, input: null, arguments);

    /// <summary>Runs <c>ip -batch -</c> or <c>ip -n NAMESPACE -batch -</c>: one process for many changes.</summary>
    internal static void Batch(string program, string? networkNamespace, IEnumerable<string> commands)
    {
        string[] arguments = networkNamespace is null ? ["-batch", "-"] : ["-n", networkNamespace, "-batch", "-"];
        Run(program, string.Join('\n', commands) + "\n", arguments);
    }

    internal static string? Find(string program)
    {
        // sbin is not on every user's path, and nginx, tc and prometheus live there.
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/sbin", "/sbin", "/usr/bin"]);
        return folders.Where(f => f.Length > 0).Select(f => Path.Combine(f, program)).FirstOrDefault(File.Exists);
    }

    private static string Run(string program, string? input, ReadOnlySpan<string> arguments)
    {
        var start = new ProcessStartInfo(Find(program) ?? throw new LabException($"'{program}' is not installed"))
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync();
            if (input is not null)
            {
                process.StandardInput.Write(input);
            }

            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0
                ? output
                : throw new LabException($"{program} {string.Join(' ', start.ArgumentList)}: exit code {process.ExitCode}: {errors.Result.Trim()}");
        }
        catch (Win32Exception e)
        {
            throw new LabException($"{program}: {e.Message}", e);
        }
    }
}
