using System.Collections.Immutable;

namespace Skep.Resources.Reading;

/// <summary>Turns the documents of a file into resources.</summary>
internal static class ResourceReader
{
    public static IEnumerable<Resource> Read(string file, string text, ProblemList problems)
    {
        foreach (var document in DocumentReader.Read(file, text, problems))
        {
            // An empty document between two '---' is a slip of no consequence.
            if (!document.IsNull && ReadDocument(document, problems) is { } resource)
            {
                yield return resource;
            }
        }
    }

    private static Resource? ReadDocument(Node document, ProblemList problems)
    {
        if (document.Kind != NodeKind.Map)
        {
            problems.Error(
                document.Source, "not-a-resource", $"the document is {document.Describe()}", $"begin with 'apiVersion: {Kinds.ApiVersion}' and 'kind: ...'");
            return null;
        }

        var name = document.Field("kind");
        var kind = name is { Kind: NodeKind.Scalar } ? Kinds.All.FirstOrDefault(k => k.Name == name.Text) : null;
        if (kind is null)
        {
            ReportKind(document, name, problems);
            return null;
        }

        if (kind.Document.Read(document, "", problems) is not ObjectValue value)
        {
            return null;
        }

        var metadata = value.Get<ObjectValue>("metadata");
        var spec = value.Get<ObjectValue>("spec");
        var head = new ResourceHead(
            metadata.Get<string>("name"),
            metadata.Get("labels", new SortedDictionary<string, string>()).ToImmutableSortedDictionary(StringComparer.Ordinal),
            document.Source,
            ReadInterfaces(spec, problems),
            spec.Get("hook", EdgeHook.Auto));
        return kind.Build(head, spec) with { Digest = NodeDigest.Of(document) };
    }

    private static ImmutableArray<string> ReadInterfaces(ObjectValue spec, ProblemList problems)
    {
        var names = new List<string>();
        foreach (var (name, source) in spec.List<string>("interfaces"))
        {
            if (names.Contains(name))
            {
                problems.Error(source, "duplicate-interface", $"interface '{name}' stands twice", "remove one of them");
            }
            else if (name == "lo")
            {
                problems.Error(source, "loopback", "interface 'lo' carries this host's own traffic", "name the interface that faces the network");
            }

            names.Add(name);
        }

        return [.. names];
    }

    private static void ReportKind(Node document, Node? name, ProblemList problems)
    {
        string[] known = [.. Kinds.All.Select(k => k.Name)];
        if (name is null)
        {
            problems.Error(document.Source, "missing-field", "the document has no 'kind'", $"known are {string.Join(", ", known)}");
        }
        else
        {
            problems.Error(
                name.Source, "unknown-kind", $"{name.Describe()} is not a kind of {Kinds.ApiVersion}", NearestName.Advice(name.Kind == NodeKind.Scalar ? name.Text : "", known));
        }
    }
}
