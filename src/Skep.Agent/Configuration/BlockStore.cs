using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Skep.Resources.Reading;

namespace Skep.Agent.Configuration;

/// <summary>A source blocked by <c>skep block</c>.</summary>
internal sealed record ManualBlock(string Prefix, string Reason, DateTimeOffset? Until, ImmutableArray<string> Interfaces)
{
    [JsonIgnore]
    public IPNetwork Network => IPNetwork.Parse(Prefix);
}

/// <summary>Sources blocked by command, kept over restarts.</summary>
internal sealed class BlockStore(string path, TimeProvider time)
{
    private ImmutableSortedDictionary<string, ManualBlock> _blocks = ImmutableSortedDictionary<string, ManualBlock>.Empty;

    /// <summary>Why the blocks in force are not on disk, so that a restart would not know them; null when they are.</summary>
    public string? NotKept { get; private set; }

    /// <summary>The blocks that have not ended.</summary>
    public IReadOnlyCollection<ManualBlock> Current => [.. _blocks.Values.Where(b => b.Until is null || b.Until > time.GetUtcNow())];

    /// <summary>Reads what an earlier agent saved; a damaged file is set aside, and said so.</summary>
    public string? Load()
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            var saved = JsonSerializer.Deserialize(File.ReadAllBytes(path), BlockJson.Default.ListManualBlock) ?? [];
            // Somebody may have edited it: what cannot be a block must not keep the agent from starting.
            ManualBlock[] usable = [.. saved.Where(IsUsable).DistinctBy(b => b.Prefix)];
            _blocks = usable.ToImmutableSortedDictionary(b => b.Prefix, b => b, StringComparer.Ordinal);
            return usable.Length == saved.Count ? null : $"{path} has {saved.Count - usable.Length} entries that are no blocks; they were left out.";
        }
        catch (JsonException e)
        {
            return $"{path} was damaged ({e.Message}){SetAside()}; block the addresses again.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{path} cannot be read ({e.Message}): what was blocked by command is not in force.";
        }
    }

    private string SetAside()
    {
        try
        {
            File.Move(path, path + ".damaged", overwrite: true);
            return $" and is now {path}.damaged";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $" and cannot be set aside ({e.Message})";
        }
    }

    private static bool IsUsable(ManualBlock? block) =>
        block is { Prefix: not null, Interfaces.IsDefault: false }
        && Scalars.TryParsePrefix(block.Prefix, out var prefix) && prefix.ToString() == block.Prefix && prefix.PrefixLength > 0
        && block.Interfaces.All(Scalars.IsInterfaceName);

    public void Add(ManualBlock block) => Save(_blocks.SetItem(block.Prefix, block));

    /// <summary>Removes a block; false when there is none of that prefix.</summary>
    public bool Remove(IPNetwork prefix)
    {
        var found = _blocks.ContainsKey(prefix.ToString());
        Save(_blocks.Remove(prefix.ToString()));
        return found;
    }

    /// <summary>Forgets blocks that have ended; true when there were any.</summary>
    public bool Prune()
    {
        var ended = _blocks.Values.Where(b => b.Until <= time.GetUtcNow()).Select(b => b.Prefix).ToArray();
        if (ended.Length > 0)
        {
            Save(_blocks.RemoveRange(ended));
        }

        return ended.Length > 0;
    }

    // A disk that is full or read-only must not keep a source from being blocked.
    private void Save(ImmutableSortedDictionary<string, ManualBlock> blocks)
    {
        _blocks = blocks;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var fresh = path + ".new";
            File.WriteAllBytes(fresh, JsonSerializer.SerializeToUtf8Bytes(blocks.Values.ToList(), BlockJson.Default.ListManualBlock));
            File.Move(fresh, path, overwrite: true);
            NotKept = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotKept = $"blocks by command are in force but could not be kept for a restart: {e.Message}";
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(List<ManualBlock>))]
internal sealed partial class BlockJson : JsonSerializerContext;
