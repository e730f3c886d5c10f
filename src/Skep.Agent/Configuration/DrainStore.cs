using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skep.Agent.Configuration;

/// <summary>A drain that has a deadline, from when it was first asked for.</summary>
/// <param name="Service">Virtual endpoint, as <c>192.0.2.1:80/tcp</c>.</param>
/// <param name="Backend">Address and port of the backend.</param>
/// <param name="Begun">When it began by the clock on the wall.</param>
/// <param name="Tick">When it began by the monotonic clock, in nanoseconds since the boot.</param>
/// <param name="Boot">Which boot that was.</param>
/// <param name="IsOver">Whether what remained has been cut.</param>
internal sealed record SavedDrain(string Service, string Backend, DateTimeOffset Begun, long Tick, string Boot, bool IsOver);

/// <summary>
/// The drains that go on over a restart of the agent, however it ended. Within one boot their time runs by the monotonic clock, which nobody sets; after a boot by the one on the wall, and
/// where that stands before their beginning they begin anew: none ends early because a clock was set.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="clock">The monotonic clock.</param>
/// <param name="wall">The clock on the wall.</param>
/// <param name="boot">Changes with every boot; for a clock that begins with the process, with every process.</param>
internal sealed class DrainStore(string path, TimeProvider clock, TimeProvider wall, string boot)
{
    private readonly Dictionary<(string Service, string Backend), SavedDrain> _drains = [];

    /// <summary>Why the drains are not on disk, so that a restart would begin them anew; null when they are.</summary>
    public string? NotKept { get; private set; }

    /// <summary>Reads what an earlier agent saved; a damaged file is set aside, and said so.</summary>
    public string? Load()
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            foreach (var drain in JsonSerializer.Deserialize(File.ReadAllBytes(path), DrainJson.Default.ListSavedDrain) ?? [])
            {
                if (drain is { Service: not null, Backend: not null, Boot: not null })
                {
                    _drains[(drain.Service, drain.Backend)] = drain;
                }
            }

            return null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            return $"{path} cannot be read ({e.Message}): drains with a deadline begin anew.";
        }
    }

    /// <summary>Begins a drain, or goes on with the one there is; gives how long it has lasted and whether it is over.</summary>
    public (TimeSpan Lasted, bool IsOver) Begin(string service, string backend)
    {
        if (_drains.TryGetValue((service, backend), out var drain))
        {
            var lasted = LastedOf(drain);
            if (drain.Boot != boot || lasted < TimeSpan.Zero)
            {
                // From now on by this boot's clock, with what it has lasted so far.
                lasted = lasted < TimeSpan.Zero ? TimeSpan.Zero : lasted;
                Save(drain with { Begun = wall.GetUtcNow() - lasted, Tick = Now - Nanoseconds(lasted), Boot = boot });
            }

            return (lasted, drain.IsOver);
        }

        Save(new SavedDrain(service, backend, wall.GetUtcNow(), Now, boot, false));
        return (TimeSpan.Zero, false);
    }

    /// <summary>What remained of a drain has been cut.</summary>
    public void End(string service, string backend)
    {
        if (_drains.TryGetValue((service, backend), out var drain))
        {
            Save(drain with { IsOver = true });
        }
    }

    /// <summary>Forgets the drains that nobody asks for any more.</summary>
    public void Keep(Func<string, string, bool> isWanted)
    {
        var gone = _drains.Keys.Where(k => !isWanted(k.Service, k.Backend)).ToArray();
        foreach (var key in gone)
        {
            _drains.Remove(key);
        }

        if (gone.Length > 0)
        {
            Write();
        }
    }

    /// <summary>Whether there are any.</summary>
    public bool IsEmpty => _drains.Count == 0;

    private long Now => Nanoseconds(clock.GetElapsedTime(0));

    private static long Nanoseconds(TimeSpan span) => span.Ticks * TimeSpan.NanosecondsPerTick;

    private TimeSpan LastedOf(SavedDrain drain) => drain.Boot == boot
        ? TimeSpan.FromTicks((Now - drain.Tick) / TimeSpan.NanosecondsPerTick)
        : wall.GetUtcNow() - drain.Begun;

    private void Save(SavedDrain drain)
    {
        _drains[(drain.Service, drain.Backend)] = drain;
        Write();
    }

    // A disk that is full or read-only must not keep a backend from being drained.
    private void Write()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var fresh = path + ".new";
            using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write))
            {
                JsonSerializer.Serialize(stream, [.. _drains.Values.OrderBy(d => d.Service, StringComparer.Ordinal).ThenBy(d => d.Backend, StringComparer.Ordinal)], DrainJson.Default.ListSavedDrain);
                stream.Flush(flushToDisk: true);
            }

            File.Move(fresh, path, overwrite: true);
            NotKept = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotKept = $"drains go on but could not be kept for a restart: {e.Message}";
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(List<SavedDrain>))]
internal sealed partial class DrainJson : JsonSerializerContext;
