using System.Threading.Channels;

namespace Skep.Agent.Configuration;

/// <summary>
/// Tells when resource files changed and are quiet again. The kernel's notifications make it quick; looking every few seconds makes it
/// sure, because they are lost on network file systems and when a directory is swapped.
/// </summary>
internal sealed class ResourceWatcher(ResourceStore store, IReadOnlyList<string> directories, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_quiet = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(5);

    private readonly Channel<bool> _hints = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly List<FileSystemWatcher> _watchers = [];
    private string _seen = store.Fingerprint();

    /// <summary>Starts to listen.</summary>
    public void Start()
    {
        foreach (var directory in directories.Where(Directory.Exists).Distinct(StringComparer.Ordinal))
        {
            var watcher = new FileSystemWatcher(directory) { NotifyFilter = NotifyFilters.LastWrite | NotifyFilters.FileName | NotifyFilters.Size | NotifyFilters.DirectoryName };
            watcher.Changed += (_, _) => Hint();
            watcher.Created += (_, _) => Hint();
            watcher.Deleted += (_, _) => Hint();
            watcher.Renamed += (_, _) => Hint();
            watcher.Error += (_, _) => Hint();
            watcher.EnableRaisingEvents = true;
            _watchers.Add(watcher);
        }
    }

    /// <summary>Look now: something else than a file changed what is asked.</summary>
    public void Hint() => _hints.Writer.TryWrite(true);

    /// <summary>What is on disk now has been read.</summary>
    public void Acknowledge() => _seen = store.Fingerprint();

    /// <summary>Returns when the files differ from what was seen and have been quiet for a moment.</summary>
    public async Task WaitForChangeAsync(CancellationToken cancellation)
    {
        while (true)
        {
            await WaitForHintAsync(s_look, cancellation);
            var now = store.Fingerprint();
            if (now == _seen)
            {
                continue;
            }

            // Editors write in several steps: wait until nothing moves.
            string before;
            do
            {
                before = now;
                await Task.Delay(s_quiet, time, cancellation);
                now = store.Fingerprint();
            }
            while (now != before);
            _seen = now;
            return;
        }
    }

    public void Dispose()
    {
        foreach (var watcher in _watchers)
        {
            watcher.Dispose();
        }
    }

    private async Task WaitForHintAsync(TimeSpan most, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(most, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        try
        {
            await _hints.Reader.ReadAsync(both.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Nothing was heard: look all the same.
        }
    }
}
