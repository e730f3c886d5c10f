using System.CommandLine;
using System.CommandLine.Completions;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf;
using Skep.Bpf.Inspection;
using Skep.Cli.Output;
using Skep.Resources.Reading;

namespace Skep.Cli.Verbs.Bpf;

/// <summary>How people name a BPF object: by number, name, program tag or path of a pin.</summary>
internal static class BpfObject
{
    private const int MostNamed = 20;

    /// <summary>The argument for one object of the kind, with completion.</summary>
    public static Argument<string> Argument(BpfObjectKind kind)
    {
        var word = KernelObjects.NameOf(kind);
        var argument = new Argument<string>(kind == BpfObjectKind.Btf ? "btf" : word)
        {
            Description = kind switch
            {
                BpfObjectKind.Program => "Number, name, tag, or path of a pin.",
                BpfObjectKind.Map => "Number, name, or path of a pin.",
                BpfObjectKind.Link => "Number, or path of a pin.",
                _ => "Number.",
            },
        };
        argument.CompletionSources.Add(_ => Completions(kind));
        return argument;
    }

    /// <summary>The number of the object that the word names.</summary>
    /// <exception cref="VerbException">There is none, or there are several.</exception>
    public static uint Find(BpfObjectKind kind, string word)
    {
        var noun = KernelObjects.NameOf(kind);
        if (uint.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
        {
            return id;
        }

        if (word.Contains('/'))
        {
            return ObjectPins.At(Path.GetFullPath(word)) switch
            {
                { } found when found.Kind == kind => found.Id,
                { } other => throw new VerbException($"What is pinned at {Safe.Text(word)} is a {KernelObjects.NameOf(other.Kind)}, not a {noun}."),
                null => throw new VerbException($"There is no pin at {Safe.Text(word)}. 'skep bpf {(kind == BpfObjectKind.Program ? "prog" : noun)} list' shows the pins."),
            };
        }

        var all = Named(kind).ToArray();
        var matches = all.Where(o => o.Name == word || o.Tag == word).Select(o => o.Id).ToArray();
        return matches switch
        {
            [var only] => only,
            [] => throw new VerbException($"There is no {noun} '{Safe.Text(word)}'. {Safe.Text(NearestName.Advice(word, [.. all.Select(o => o.Name).Where(n => n.Length > 0).Distinct()]))}"),
            _ => throw new VerbException(
                $"{matches.Length} {noun}s are called '{Safe.Text(word)}': say which by its number, {string.Join(", ", matches.Take(MostNamed))}{(matches.Length > MostNamed ? ", ..." : "")}."),
        };
    }

    /// <summary>Details of all objects of the kind; those that go meanwhile are left out.</summary>
    public static IEnumerable<T> All<T>(BpfObjectKind kind, Func<uint, T> read)
        where T : class
    {
        foreach (var id in KernelObjects.Ids(kind))
        {
            T? details;
            try
            {
                details = read(id);
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.NoEntry)
            {
                continue;
            }

            yield return details;
        }
    }

    /// <summary>Reads the object that the word names; one that has gone says so.</summary>
    /// <exception cref="VerbException">It is not there.</exception>
    public static T Read<T>(BpfObjectKind kind, uint id, Func<uint, T> read)
    {
        try
        {
            return read(id);
        }
        catch (BpfException e) when (e.ErrorNumber == Errno.NoEntry)
        {
            throw new VerbException($"There is no {KernelObjects.NameOf(kind)} {id}; it may have gone just now.");
        }
    }

    /// <summary>Processes and pins of an object, as JSON.</summary>
    public static void AddHolders(JsonObject json, BpfObjectKind kind, uint id, ObjectOwners owners, ObjectPins pins)
    {
        json["pins"] = new JsonArray([.. pins.Of(kind, id).Select(p => (JsonNode)p)]);
        json["processes"] = new JsonArray([.. owners.Of(kind, id).Select(o => (JsonNode)new JsonObject { ["pid"] = o.ProcessId, ["name"] = o.Name })]);
    }

    /// <summary>Processes and pins of an object, for people.</summary>
    public static string Holders(BpfObjectKind kind, uint id, ObjectOwners owners, ObjectPins pins) =>
        string.Join(' ', owners.Of(kind, id).Select(o => string.Create(CultureInfo.InvariantCulture, $"{Safe.Text(o.Name)}({o.ProcessId})")).Concat(pins.Of(kind, id).Select(Safe.Text)));

    private static IEnumerable<(uint Id, string Name, string Tag)> Named(BpfObjectKind kind) => kind switch
    {
        BpfObjectKind.Program => All(kind, id => ProgramDetails.Read(id)).Select(p => (p.Id, p.Name, p.Tag)),
        BpfObjectKind.Map => All(kind, id => MapDetails.Read(id)).Select(m => (m.Id, m.Name, "")),
        BpfObjectKind.Btf => All(kind, id => BtfDetails.Read(id)).Select(b => (b.Id, b.Name, "")),
        _ => [],
    };

    private static IEnumerable<CompletionItem> Completions(BpfObjectKind kind)
    {
        try
        {
            return [.. KernelObjects.Ids(kind).Select(id => id.ToString(CultureInfo.InvariantCulture))
                .Concat(Named(kind).Select(o => o.Name).Where(n => n.Length > 0 && n.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.')).Distinct())
                .Select(text => new CompletionItem(text))];
        }
        catch (BpfException)
        {
            // Completion is no place to complain.
            return [];
        }
    }
}
