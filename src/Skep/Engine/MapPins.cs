using System.Security.Cryptography;
using System.Reflection;
using System.Text;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Engine;

/// <summary>
/// The pinned maps of an instance. The name of a pin ends in a fingerprint of the layout, because two structs of the same size may
/// still mean different things, and the kernel knows sizes only.
/// </summary>
internal sealed class MapPins(string directory) : IDisposable
{
    private readonly List<BpfMap> _open = [];

    /// <summary>Maps with storage.</summary>
    public IReadOnlyList<BpfMap> Open
    {
        get
        {
            lock (_open)
            {
                return [.. _open];
            }
        }
    }

    /// <summary>Gives a map its storage: the pinned one when it fits, else a new one, which is pinned. Returns what people should know, or null.</summary>
    /// <exception cref="LayoutException">A map of another layout is pinned and may not be replaced.</exception>
    public string? Bind(BpfMap map, bool recreate)
    {
        if (map.IsBound)
        {
            return null;
        }

        Directory.CreateDirectory(directory);
        var stem = PinName.For(map.Name) + "_";
        var path = Path.Combine(directory, stem + Fingerprint(map));
        var others = Directory.GetFiles(directory).Where(f => IsPinOf(f, stem) && f != path).ToArray();
        string? notice = null;
        if (others.Length > 0)
        {
            notice = Replace(map, recreate, "its layout changed", others);
        }

        if (File.Exists(path))
        {
            try
            {
                map.Bind(KernelMapStorage.OpenPinned(path, map));
            }
            catch (MapMismatchException e)
            {
                notice = Replace(map, recreate, string.Join(", ", e.Differences), [path]);
            }
        }

        if (!map.IsBound)
        {
            var storage = KernelMapStorage.Create(map);
            map.Bind(storage);
            storage.Pin(path);
        }

        lock (_open)
        {
            _open.Add(map);
        }

        return notice;
    }

    /// <summary>Removes the directory with all pins; maps that programs or this process use live on until those go.</summary>
    public void Remove()
    {
        if (Directory.Exists(directory))
        {
            foreach (var path in Directory.GetFiles(directory))
            {
                File.Delete(path);
            }

            Directory.Delete(directory);
        }
    }

    public void Dispose()
    {
        lock (_open)
        {
            _open.ForEach(m => m.Dispose());
            _open.Clear();
        }
    }

    /// <summary>Eight hexadecimal digits that change with the names, types and order of the fields of key and value.</summary>
    internal static string Fingerprint(BpfMap map)
    {
        var text = new StringBuilder();
        if (map.KeyType is { } key)
        {
            Describe(key, text);
        }

        text.Append('>');
        Describe(map.ValueType, text);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 4));
    }

    private static void Describe(Type type, StringBuilder text)
    {
        if (type.IsPrimitive || type.IsPointer)
        {
            text.Append(type.Name);
            return;
        }

        if (type.IsEnum)
        {
            // Meaning is in the names: a value that moves is another layout.
            text.Append(Enum.GetUnderlyingType(type).Name).AppendJoin(',', Enum.GetNames(type));
            return;
        }

        text.Append('{');
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).OrderBy(f => f.MetadataToken))
        {
            text.Append(field.Name).Append(':');
            Describe(field.FieldType, text);
            text.Append(';');
        }

        text.Append('}');
    }

    private static bool IsPinOf(string path, string stem)
    {
        var name = Path.GetFileName(path);
        return name.StartsWith(stem, StringComparison.Ordinal) && name.Length == stem.Length + 8;
    }

    private static string Replace(BpfMap map, bool recreate, string difference, IEnumerable<string> pins)
    {
        if (!recreate)
        {
            throw new LayoutException(
                $"Map '{map.Name}' was pinned by another version of Skep and does not fit this one ({difference}). "
                + "What it enforces goes on. Start with --recreate to replace it by an empty map, or run 'skep down' first.");
        }

        foreach (var pin in pins)
        {
            File.Delete(pin);
        }

        return $"map '{map.Name}' was recreated empty: {difference}";
    }
}

/// <summary>Pinned state belongs to another version; nothing was changed.</summary>
public sealed class LayoutException(string message) : Exception(message);
