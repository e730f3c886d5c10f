using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skep.Bpf;
using Skep.Bpf.Btf;
using Skep.Bpf.Inspection;
using Skep.Bpf.Maps;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary>A map opened by its number, whose entries are read and written by their types, or as bytes where it has none.</summary>
internal sealed class TypedEntries : IDisposable
{
    private const int Batch = 256, LargestBatch = 1 << 20;

    private static readonly JsonSerializerOptions s_readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly KernelMapStorage _storage;
    private readonly BtfFile? _types;

    public TypedEntries(uint id)
    {
        Details = MapDetails.Read(id);
        _storage = KernelMapStorage.OpenById(id);
        _types = Details.OpenTypes();
    }

    public MapDetails Details { get; }

    public string KeyTypeName => _types is not null && Details.KeyType != 0 ? $" ({BtfText.NameOf(_types, Details.KeyType)})" : "";

    public string ValueTypeName => HasValueType ? $" ({BtfText.NameOf(_types!, Details.ValueType)})" : "";

    private bool HasValueType => _types is not null && Details.ValueType != 0 && !Details.HasKernelValueType && _types.SizeOf(Details.ValueType) == Details.ValueSize;

    private int Stride => ((int)Details.ValueSize + 7) & ~7;

    private int ValueBytes => Details.IsPerCpu ? Stride * _storage.ValuesPerEntry : (int)Details.ValueSize;

    /// <summary>All entries: those that come or go meanwhile may be missed.</summary>
    public IEnumerable<(byte[] Key, byte[] Value)> Entries()
    {
        if (Details.KeySize == 0)
        {
            throw new VerbException($"Maps of kind {Details.Kind} have no entries that could be listed.");
        }

        var size = Batch;
        ulong cursor = 0;
        for (var done = false; !done;)
        {
            var (keys, values) = (new byte[size * (int)Details.KeySize], new byte[size * ValueBytes]);
            var read = _storage.ReadBatch(ref cursor, keys, values, size, out done);
            if (read == -Errno.NoSpace && size < LargestBatch)
            {
                // A bucket of a hash table comes whole or not at all.
                size *= 4;
                done = false;
                continue;
            }

            if (read < 0)
            {
                throw new BpfException($"Reading map {Details.Id} ({Details.Kind}) failed", read);
            }

            for (var i = 0; i < read; i++)
            {
                yield return (keys.AsSpan(i * (int)Details.KeySize, (int)Details.KeySize).ToArray(), values.AsSpan(i * ValueBytes, ValueBytes).ToArray());
            }
        }
    }

    public byte[]? Get(byte[] key)
    {
        var value = new byte[ValueBytes];
        return _storage.Read(key, value) switch
        {
            0 => value,
            -Errno.NoEntry => null,
            var status => throw new BpfException($"Reading map {Details.Id} ({Details.Kind}) failed", status),
        };
    }

    public void Set(byte[] key, byte[] value)
    {
        var status = _storage.Write(key, value, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw new BpfException($"Writing map {Details.Id} ({Details.Kind}) failed{(Details.IsFrozen ? "; it is frozen" : "")}", status);
        }
    }

    public bool Delete(byte[] key) => _storage.Remove(key) switch
    {
        0 => true,
        -Errno.NoEntry => false,
        var status => throw new BpfException($"Removing from map {Details.Id} ({Details.Kind}) failed", status),
    };

    public byte[] ParseKey(string text) => Parse(text, (int)Details.KeySize, _types is not null ? Details.KeyType : 0, "key");

    public byte[] ParseValue(string text)
    {
        var one = Parse(text, (int)Details.ValueSize, HasValueType ? Details.ValueType : 0, "value");
        if (!Details.IsPerCpu)
        {
            return one;
        }

        var all = new byte[ValueBytes];
        for (var cpu = 0; cpu < _storage.ValuesPerEntry; cpu++)
        {
            one.CopyTo(all, cpu * Stride);
        }

        return all;
    }

    public JsonNode? KeyToJson(ReadOnlySpan<byte> key) => _types is not null && Details.KeyType != 0 ? BtfValue.ToJson(_types, Details.KeyType, key) : Hexadecimal(key);

    public JsonNode? ValueToJson(ReadOnlySpan<byte> value)
    {
        if (!Details.IsPerCpu)
        {
            return OneToJson(value);
        }

        var result = new JsonArray();
        for (var cpu = 0; cpu < _storage.ValuesPerEntry; cpu++)
        {
            result.Add(OneToJson(value.Slice(cpu * Stride, (int)Details.ValueSize)));
        }

        return result;
    }

    /// <summary>JSON for people: one line, without escapes that only programs need, and nothing a terminal would obey.</summary>
    public static string Text(JsonNode? value) => Safe.Text(value?.ToJsonString(s_readable) ?? "null");

    public void Dispose()
    {
        _storage.Dispose();
        _types?.Dispose();
    }

    private JsonNode? OneToJson(ReadOnlySpan<byte> value) => HasValueType ? BtfValue.ToJson(_types!, Details.ValueType, value) : Hexadecimal(value);

    private static JsonNode Hexadecimal(ReadOnlySpan<byte> bytes) => JsonValue.Create("0x" + Convert.ToHexStringLower(bytes));

    private byte[] Parse(string text, int size, uint type, string what)
    {
        if (size == 0)
        {
            throw new VerbException($"Maps of kind {Details.Kind} have no {what}.");
        }

        // As many digits as the bytes have: those are the bytes as they lie in memory. A typed number may be hexadecimal too, and then is shorter.
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && (type == 0 || text.Length == 2 + (size * 2)))
        {
            try
            {
                var bytes = Convert.FromHexString(text.AsSpan(2));
                return bytes.Length == size
                    ? bytes
                    : throw new VerbException($"{what}: map {Details.Id} takes {size} bytes, these are {bytes.Length}.", ExitCode.Usage);
            }
            catch (FormatException)
            {
                throw new VerbException($"{what}: two hexadecimal digits for each byte after 0x.", ExitCode.Usage);
            }
        }

        if (type == 0)
        {
            throw new VerbException(string.Create(CultureInfo.InvariantCulture, $"{what}: map {Details.Id} has no type for it: give its {size} bytes as 0x and {size * 2} digits."), ExitCode.Usage);
        }

        var result = new byte[size];
        try
        {
            BtfValue.FromJson(_types!, type, AsJson(text), result);
            return result;
        }
        catch (FormatException e)
        {
            throw new VerbException($"{what} as {Safe.Text(BtfText.NameOf(_types!, type))}: {Safe.Text(e.Message)}", ExitCode.Usage);
        }
    }

    // A word that is no JSON (an enum's name, a hexadecimal number) stands for itself.
    private static JsonNode? AsJson(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException) when (!text.StartsWith('{') && !text.StartsWith('[') && !text.StartsWith('"'))
        {
            return JsonValue.Create(text);
        }
        catch (JsonException e)
        {
            throw new FormatException($"it is not JSON: {e.Message}");
        }
    }
}
