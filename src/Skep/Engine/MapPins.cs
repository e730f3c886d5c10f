using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Skep.Bpf.Btf;
using Skep.Bpf.Inspection;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Engine;

/// <summary>
/// The pinned maps of an instance. The name of a pin ends in a fingerprint of the layout, because two structs of the same size may
/// still mean different things, and the kernel knows sizes only.
/// <code>
/// maps/NAME_FINGERPRINT   the maps that programs in force use
/// next/NAME_FINGERPRINT   maps that take the place of others once no program in force uses those: filled, but not in force yet
/// </code>
/// </summary>
internal sealed class MapPins : IDisposable
{
    private readonly string _directory;
    private readonly string _next;
    private readonly List<BpfMap> _open = [];
    private readonly List<Change> _changes = [];

    // Objects of which there are later ones for the same map: still in use, and let go with the next call of Settle, because readers do not wait.
    private readonly List<BpfMap> _superseded = [];
    private readonly List<BpfMap> _retired = [];

    /// <summary>The pins below a directory. What a process that ended had begun is finished when programs in force use it already, else forgotten.</summary>
    /// <param name="directory">The directory of the instance.</param>
    /// <param name="inForce">Numbers of the maps that programs in force use.</param>
    public MapPins(string directory, Func<IReadOnlySet<uint>> inForce)
    {
        (_directory, _next) = (Path.Combine(directory, "maps"), Path.Combine(directory, "next"));
        if (!Directory.Exists(_next))
        {
            return;
        }

        var pins = Directory.GetFiles(_next);
        var used = pins.Length == 0 ? new HashSet<uint>() : inForce();
        if (pins.Any(p => used.Contains(IdOf(p))))
        {
            foreach (var pin in pins)
            {
                // One that no program in force uses is as good as the others: they were filled together.
                PutInForce(pin, []);
            }
        }

        RemoveAll(_next);
    }

    /// <summary>Maps with storage, the latest of each name.</summary>
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

    /// <summary>
    /// Gives maps their storage: pinned ones where they fit; else new ones, with what <paramref name="ruleOf"/> has carried over of those that they take the place of.
    /// All of them, or none. Returns what people should know.
    /// </summary>
    /// <exception cref="LayoutException">Pinned entries cannot be carried over, and may not be forgotten; nothing was changed.</exception>
    public IReadOnlyList<string> Bind(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf, bool recreate)
    {
        var binding = BindAll(maps, ruleOf, recreate);
        lock (_open)
        {
            var names = binding.Bound.Select(m => m.Name).ToHashSet(StringComparer.Ordinal);
            _superseded.AddRange(_open.Where(m => names.Contains(m.Name)));
            _open.RemoveAll(m => names.Contains(m.Name));
            _open.AddRange(binding.Bound);
        }

        return [.. _changes.Skip(binding.ChangesBefore).Select(c => c.Transfer.Notice).Where(n => n.Length > 0)];
    }

    /// <summary>Does what <see cref="Bind(IEnumerable{BpfMap}, Func{BpfMap, MapMigration}, bool)"/> does, and takes it back.</summary>
    /// <exception cref="LayoutException">Pinned entries cannot be carried over, and may not be forgotten.</exception>
    public void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf, bool recreate) => Undo(BindAll(maps, ruleOf, recreate));

    /// <summary>Carries over what programs added to maps since these were copied; programs are exchanged next.</summary>
    /// <param name="until">Programs' time in nanoseconds by which that has ended.</param>
    public void BeginExchange(ulong until)
    {
        CatchUp();
        _changes.ForEach(c => c.Transfer.Exchanging(until));
    }

    /// <summary>Programs begin to use the new maps.</summary>
    public void NoteExchange() => _changes.ForEach(c => c.IsInUse = true);

    /// <summary>
    /// Puts new maps in the place of old ones as soon as none of the programs in force uses these any more, and lets go of what was superseded before. To be called now and then.
    /// </summary>
    public void Settle(Func<IReadOnlySet<uint>> inForce)
    {
        _retired.ForEach(m => m.Dispose());
        _retired.Clear();
        if (_changes.Count > 0)
        {
            if (_changes.Exists(c => c.IsInUse))
            {
                CatchUp();
            }

            _changes.ForEach(static c => c.Transfer.Exchanging(0));

            var used = inForce();
            if (_changes.Exists(c => used.Contains(c.Old.Id)))
            {
                return;
            }

            foreach (var change in _changes)
            {
                PutInForce(change.Pin, change.Rule.FormerNames);
                change.Dispose();
            }

            _changes.Clear();
            RemoveAll(_next);
        }

        _retired.AddRange(_superseded);
        _superseded.Clear();
    }

    /// <summary>Removes the directories with all pins; maps that programs or this process use live on until those go.</summary>
    public void Remove()
    {
        RemoveAll(_directory);
        RemoveAll(_next);
    }

    public void Dispose()
    {
        lock (_open)
        {
            foreach (var map in (IEnumerable<BpfMap>)[.. _open, .. _superseded, .. _retired])
            {
                map.Dispose();
            }

            _open.Clear();
        }

        _superseded.Clear();
        _retired.Clear();
        _changes.ForEach(c => c.Dispose());
        _changes.Clear();
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

    private Binding BindAll(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf, bool recreate)
    {
        Directory.CreateDirectory(_directory);
        var binding = new Binding([], [], _changes.Count);
        try
        {
            foreach (var map in maps.Where(m => !m.IsBound))
            {
                Bind(map, ruleOf(map), recreate, binding.Pins);
                binding.Bound.Add(map);
            }

            return binding;
        }
        catch
        {
            Undo(binding);
            throw;
        }
    }

    private void CatchUp() => _changes.ForEach(c => c.Transfer.CatchUp(c.IsInUse));

    private void Undo(Binding binding)
    {
        binding.Bound.ForEach(m => m.Dispose());
        binding.Pins.ForEach(File.Delete);
        _changes.Skip(binding.ChangesBefore).ToList().ForEach(c => c.Dispose());
        _changes.RemoveRange(binding.ChangesBefore, _changes.Count - binding.ChangesBefore);
    }

    private void Bind(BpfMap map, MapMigration rule, bool recreate, List<string> made)
    {
        var name = StemFor(map.Name) + Fingerprint(map);
        var path = Path.Combine(_directory, name);
        var waiting = _changes.Find(c => c.Map.Name == map.Name);
        if (waiting is not null ? TryOpen(waiting.Pin, map) : TryOpen(path, map))
        {
            return;
        }

        if (waiting is not null)
        {
            throw new LayoutException(
                $"Map '{map.Name}' cannot change again yet: the change before it is not in force everywhere, because a program of before is still attached. 'skep status' says where and why.");
        }

        var pins = File.Exists(path) ? [path] : PinsOf(map.Name).Concat(rule.FormerNames.SelectMany(PinsOf)).ToArray();
        var storage = KernelMapStorage.Create(map);
        map.Bind(storage);
        try
        {
            if (pins.Length == 0)
            {
                storage.Pin(path);
                made.Add(path);
                return;
            }

            Directory.CreateDirectory(_next);
            var old = KernelMapStorage.OpenPinned(pins[0]);
            var pin = Path.Combine(_next, name);
            var change = new Change(map, old, pin, rule);
            _changes.Add(change);
            change.Transfer = MapTransfer.Begin(
                new MapBefore(old.Name, MapShape.Of(old), old, pins[0] == path, change.Know(MapDetails.Read(old.Id))), map, change.Know(MapDetails.Read(storage.Id)), rule, recreate);
            storage.Pin(pin);
            made.Add(pin);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    private static bool TryOpen(string pin, BpfMap map)
    {
        if (!File.Exists(pin))
        {
            return false;
        }

        try
        {
            map.Bind(KernelMapStorage.OpenPinned(pin, map));
            return true;
        }
        catch (MapMismatchException)
        {
            return false;
        }
    }

    // Others of the name first: of two, an agent that starts then would not know which is in force, and of none that programs use it finds this one.
    private void PutInForce(string pin, IReadOnlyList<string> formerNames)
    {
        var name = Path.GetFileName(pin);
        var path = Path.Combine(_directory, name);
        foreach (var other in PinsOfStem(name[..^FingerprintLength]).Concat(formerNames.SelectMany(PinsOf)).Where(o => o != path))
        {
            File.Delete(other);
        }

        File.Move(pin, path, overwrite: true);
    }

    private IEnumerable<string> PinsOf(string map) => PinsOfStem(StemFor(map));

    private IEnumerable<string> PinsOfStem(string stem) => Directory.GetFiles(_directory)
        .Where(f => Path.GetFileName(f) is var name && name.StartsWith(stem, StringComparison.Ordinal) && name.Length == stem.Length + FingerprintLength);

    private static string StemFor(string map) => PinName.For(map) + "_";

    private static uint IdOf(string pin)
    {
        using var storage = KernelMapStorage.OpenPinned(pin);
        return storage.Id;
    }

    private static void RemoveAll(string directory)
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

    private const int FingerprintLength = 8;

    /// <summary>Maps that were given their storage, the pins that were made for them, and how many changes there were before.</summary>
    private sealed record Binding(List<BpfMap> Bound, List<string> Pins, int ChangesBefore);

    /// <summary>A map that takes the place of one that programs may still use.</summary>
    private sealed class Change(BpfMap map, KernelMapStorage old, string pin, MapMigration rule) : IDisposable
    {
        private readonly List<BtfFile> _types = [];

        public BpfMap Map => map;

        public KernelMapStorage Old => old;

        public string Pin => pin;

        public MapMigration Rule => rule;

        public MapTransfer Transfer { get; set; } = null!;

        public bool IsInUse { get; set; }

        public (BtfFile File, uint Key, uint Value)? Know(MapDetails details)
        {
            if (details.KeyType == 0 || details.ValueType == 0 || details.OpenTypes() is not { } types)
            {
                return null;
            }

            _types.Add(types);
            return (types, details.KeyType, details.ValueType);
        }

        public void Dispose()
        {
            old.Dispose();
            _types.ForEach(t => t.Dispose());
        }
    }
}
