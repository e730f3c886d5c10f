using System.Diagnostics;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab;

/// <summary>A long-running child in a namespace of the lab. Its output goes to a file of the run's folder, its id to the journal.</summary>
internal sealed class LabProcess : IDisposable
{
    private readonly Process _process;
    private readonly TextWriter _log;

    private LabProcess(Process process, TextWriter log, string logPath)
    {
        _process = process;
        _log = log;
        LogPath = logPath;
    }

    internal string LogPath { get; }

    internal int Id => _process.Id;

    internal bool HasExited => _process.HasExited;

    internal static LabProcess Start(LabJournal journal, LabNamespace place, string name, string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = journal.Folder,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var logPath = Path.Combine(journal.Folder, name + ".log");
        var log = TextWriter.Synchronized(new StreamWriter(logPath, append: true) { AutoFlush = true });
        // The child is forked by the thread that calls, and so begins in that thread's namespace. (`ip netns exec` would also give it
        // another view of /sys, in which the BPF file system is missing.)
        var process = place.Run(() => Process.Start(start)!);
        journal.RecordProcess(process.Id);
        process.OutputDataReceived += (_, e) => log.WriteLine(e.Data);
        process.ErrorDataReceived += (_, e) => log.WriteLine(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        process.StandardInput.Close();
        return new LabProcess(process, log, logPath);
    }

    /// <summary>SIGKILL: the child cannot do anything about it.</summary>
    internal void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>SIGTERM, and SIGKILL after the time given.</summary>
    internal void Stop(TimeSpan patience)
    {
        if (_process.HasExited)
        {
            return;
        }

        ProcessIdentity.Of(_process.Id)?.Terminate();
        if (!_process.WaitForExit(patience))
        {
            Kill();
        }
    }

    internal string Tail(int lines) => string.Join('\n', File.ReadAllLines(LogPath).TakeLast(lines));

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
        _log.Dispose();
    }
}
