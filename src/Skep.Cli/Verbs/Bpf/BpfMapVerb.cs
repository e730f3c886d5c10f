using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf.Inspection;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf map</c>: the maps in the kernel and their entries.</summary>
internal static class BpfMapVerb
{
    public static Command Build() => new VerbCommand("map", "Look at the maps in the kernel, and change entries.", "skep bpf map list", "skep bpf map dump flows")
    {
        List(), Show(), Dump(), Get(), Set(), Delete(),
    };

    private static VerbCommand List()
    {
        var json = CommonOptions.Json();
        return new VerbCommand("list", "List all maps, with the processes that hold them and their pins (root).", "skep bpf map list", "skep bpf map list --json")
        {
            json,
        }.Runs(result =>
        {
            var (owners, pins) = (ObjectOwners.Read(), ObjectPins.Read());
            var maps = BpfObject.All(BpfObjectKind.Map, id => MapDetails.Read(id)).ToArray();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonArray([.. maps.Select(m => Describe(m, owners, pins))]).ToJsonString());
                return ExitCode.Ok;
            }

            var table = Screen.Table("id", "kind", "name", "key", "value", "entries", "memory", "held by");
            foreach (var m in maps)
            {
                table.AddRow(
                    Number(m.Id), m.Kind.ToString(), Cell(m.Name), Number(m.KeySize), Number(m.ValueSize), Number(m.MaxEntries), m.Memory.ToString(CultureInfo.InvariantCulture),
                    Cell(BpfObject.Holders(BpfObjectKind.Map, m.Id, owners, pins)));
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Show()
    {
        var which = BpfObject.Argument(BpfObjectKind.Map);
        var json = CommonOptions.Json();
        return new VerbCommand("show", "Show what the kernel knows of one map (root).", "skep bpf map show flows", "skep bpf map show 17 --json")
        {
            which, json,
        }.Runs(result =>
        {
            using var map = Open(result.GetValue(which)!);
            var (m, owners, pins) = (map.Details, ObjectOwners.Read(), ObjectPins.Read());
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(Describe(m, owners, pins).ToJsonString());
                return ExitCode.Ok;
            }

            output.WriteLine($"map {m.Id}: {m.Kind} {Safe.Text(m.Name)}, {m.MaxEntries} entries at most, flags {m.Flags}{(m.IsFrozen ? ", frozen" : "")}");
            output.WriteLine($"  key: {m.KeySize} bytes{Safe.Text(map.KeyTypeName)}; value: {m.ValueSize} bytes{Safe.Text(map.ValueTypeName)}{(m.IsPerCpu ? " per CPU" : "")}; {m.Memory} bytes of memory");
            output.WriteLine($"  held by: {BpfObject.Holders(BpfObjectKind.Map, m.Id, owners, pins)}");
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Dump()
    {
        var which = BpfObject.Argument(BpfObjectKind.Map);
        var json = CommonOptions.Json();
        return new VerbCommand("dump", "Print all entries, by their types where the map has them (root).", "skep bpf map dump flows", "skep bpf map dump 17 --json")
        {
            which, json,
        }.Runs(result =>
        {
            using var map = Open(result.GetValue(which)!);
            var output = result.InvocationConfiguration.Output;
            var rows = new JsonArray();
            var count = 0;
            foreach (var (key, value) in map.Entries())
            {
                count++;
                var row = new JsonObject { ["key"] = map.KeyToJson(key), ["value"] = map.ValueToJson(value) };
                if (result.GetValue(json))
                {
                    rows.Add(row);
                }
                else
                {
                    output.WriteLine($"{TypedEntries.Text(row["key"])}: {TypedEntries.Text(row["value"])}");
                }
            }

            output.WriteLine(result.GetValue(json) ? rows.ToJsonString() : $"{count} {(count == 1 ? "entry" : "entries")}");
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Get()
    {
        var (which, key, json) = (BpfObject.Argument(BpfObjectKind.Map), Key(), CommonOptions.Json());
        return new VerbCommand("get", "Print the value under a key (root).", "skep bpf map get counters 3", "skep bpf map get flows '{\"Source\": 1, \"Port\": 80}'", "skep bpf map get 17 0x01000000")
        {
            which, key, json,
        }.Runs(result =>
        {
            using var map = Open(result.GetValue(which)!);
            var value = map.Get(map.ParseKey(result.GetValue(key)!)) ?? throw new VerbException("There is no such key.");
            var text = map.ValueToJson(value);
            result.InvocationConfiguration.Output.WriteLine(result.GetValue(json) ? text?.ToJsonString() ?? "null" : TypedEntries.Text(text));
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Set()
    {
        var (which, key) = (BpfObject.Argument(BpfObjectKind.Map), Key());
        var value = new Argument<string>("value") { Description = "JSON as 'dump' prints it, or 0x and the bytes in hexadecimal; per-CPU maps get it on all CPUs." };
        return new VerbCommand("set", "Create or replace an entry (root).", "skep bpf map set limits 3 '{\"Rate\": 100, \"Burst\": 20}'", "skep bpf map set 17 0x01000000 0x2a00000000000000")
        {
            which, key, value,
        }.Runs(result =>
        {
            using var map = Open(result.GetValue(which)!);
            map.Set(map.ParseKey(result.GetValue(key)!), map.ParseValue(result.GetValue(value)!));
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Delete()
    {
        var (which, key) = (BpfObject.Argument(BpfObjectKind.Map), Key());
        return new VerbCommand("delete", "Remove an entry (root).", "skep bpf map delete blocked 0x20000000c6336407")
        {
            which, key,
        }.Runs(result =>
        {
            using var map = Open(result.GetValue(which)!);
            return map.Delete(map.ParseKey(result.GetValue(key)!)) ? ExitCode.Ok : throw new VerbException("There is no such key.");
        });
    }

    private static Argument<string> Key() => new("key") { Description = "JSON as 'dump' prints it, or 0x and the bytes in hexadecimal." };

    private static TypedEntries Open(string word)
    {
        var id = BpfObject.Find(BpfObjectKind.Map, word);
        return BpfObject.Read(BpfObjectKind.Map, id, i => new TypedEntries(i));
    }

    private static JsonObject Describe(MapDetails m, ObjectOwners owners, ObjectPins pins)
    {
        var json = new JsonObject
        {
            ["id"] = m.Id,
            ["kind"] = m.Kind.ToString(),
            ["name"] = m.Name,
            ["keySize"] = m.KeySize,
            ["valueSize"] = m.ValueSize,
            ["maxEntries"] = m.MaxEntries,
            ["flags"] = (uint)m.Flags,
            ["frozen"] = m.IsFrozen,
            ["memory"] = m.Memory,
            ["btfId"] = m.BtfId == 0 ? null : m.BtfId,
        };
        BpfObject.AddHolders(json, BpfObjectKind.Map, m.Id, owners, pins);
        return json;
    }

    private static string Number(uint value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Cell(string text) => Markup.Escape(Safe.Text(text));
}
