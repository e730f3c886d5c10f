using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.EndToEndTests.Surroundings;

/// <summary>A process whose output is collected. Disposing of it ends it.</summary>
internal sealed partial class ChildProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly List<(string Text, TaskCompletionSource Seen)> _awaited = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ChildProcess(ProcessStartInfo start, string input)
    {
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, e) => Take(e.Data);
        _process.ErrorDataReceived += (_, e) => Take(e.Data);
        _process.Exited += (_, _) => _ended.TrySetResult();
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        _process.StandardInput.Write(input);
        _process.StandardInput.Close();
    }

    public int Id => _process.Id;

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    public static ChildProcess Start(string program, IEnumerable<string> arguments, string? folder = null) => StartWith("", program, arguments, folder);

    /// <summary>Starts a process that reads <paramref name="input"/>.</summary>
    public static ChildProcess StartWith(string input, string program, IEnumerable<string> arguments, string? folder = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Repository.Root,
        };
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["NO_COLOR"] = "1";
        return new ChildProcess(start, input);
    }

    /// <summary>Waits for a text in the output; fails when the process ends or the time is over before.</summary>
    public async Task SeesAsync(string text, TimeSpan limit)
    {
        Task seen;
        lock (_output)
        {
            if (_output.ToString().Contains(text, StringComparison.Ordinal))
            {
                return;
            }

            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _awaited.Add((text, source));
            seen = source.Task;
        }

        var first = await Task.WhenAny(seen, _ended.Task, Task.Delay(limit));
        Assert.True(first == seen || seen.IsCompleted, $"'{text}' did not appear in:\n{Output}");
    }

    /// <summary>Waits for the end and gives the exit code.</summary>
    public async Task<int> EndsAsync(TimeSpan limit)
    {
        using var stop = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(stop.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"still running after {limit}:\n{Output}");
        }

        return _process.ExitCode;
    }

    public void Signal(PosixSignal signal) => Assert.Equal(0, kill(Id, signal switch
    {
        PosixSignal.SIGINT => 2,
        PosixSignal.SIGTERM => 15,
        _ => throw new ArgumentOutOfRangeException(nameof(signal)),
    }));

    public void Kill() => _process.Kill();

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Take(string? line)
    {
        lock (_output)
        {
            _output.AppendLine(line);
            var text = _output.ToString();
            foreach (var (_, seen) in _awaited.Where(a => text.Contains(a.Text, StringComparison.Ordinal)))
            {
                seen.TrySetResult();
            }
        }
    }

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
