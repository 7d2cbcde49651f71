package ledger

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// OCSFVersion is the version of the schema that exports keep to
// (https://schema.ocsf.io/1.7.0).
const OCSFVersion = "1.7.0"

// The classes, both of Identity & Access Management: what happens to requests,
// rules, keys and the ledger is the management of entities; a redemption
// assigns privileges to a session.
const (
	ocsfEntity  = 3004
	ocsfSession = 3003
)

// object is a JSON object of the export.
type object = map[string]any

// ocsfActivities are those of Entity Management that say more than Update.
var ocsfActivities = map[gatekeeper.EventType]int{
	gatekeeper.EventRequestOpened: 1, gatekeeper.EventRequestRefused: 1,
	gatekeeper.EventRequestApproved: 10, gatekeeper.EventRequestBreakGlass: 10,
	gatekeeper.EventRequestDenied: 11, gatekeeper.EventRequestExpired: 11, gatekeeper.EventRequestCanceled: 11,
	gatekeeper.EventRequestSuperseded: 11, gatekeeper.EventRequestRevoked: 11,
	gatekeeper.EventPasskeyEnrolled: 6, gatekeeper.EventPasskeyRevoked: 7,
}

var ocsfActivityNames = map[int]string{1: "Create", 3: "Update", 6: "Enroll", 7: "Unenroll", 10: "Activate", 11: "Deactivate"}

func (f Format) ocsf(t told) ([]byte, error) {
	if strings.HasPrefix(string(t.Type), "redemption.") {
		return json.Marshal(f.ocsfRedemption(t))
	}
	activity := cmp.Or(ocsfActivities[t.Type], 3)
	out := f.ocsfBase(t, ocsfEntity, "Entity Management", activity, ocsfActivityNames[activity])
	out["entity"] = ocsfSubject(t)
	if reason := text(t.Event, "reason"); reason != "" {
		out["comment"] = flat(reason)
	}
	return json.Marshal(out)
}

// ocsfRedemption is a job that gets, or does not get, a credential.
func (f Format) ocsfRedemption(t told) object {
	out := f.ocsfBase(t, ocsfSession, "Authorize Session", 1, "Assign Privileges")
	job := cmp.Or(text(t.Event, "job"), t.Actor.ID, "unknown")
	out["user"] = object{"uid": job, "type_id": 4, "type": "Service"}
	out["privileges"] = []string{cmp.Or(text(t.Event, "credential"), "unknown")}
	if id := text(t.Event, "redemption"); id != "" {
		out["session"] = object{"uid": id}
	}
	return out
}

// ocsfBase is what all events have.
func (f Format) ocsfBase(t told, class int, className string, activity int, activityName string) object {
	status, statusID := "Success", 1
	switch {
	case t.Type == gatekeeper.EventRedemptionIntended || t.Type == gatekeeper.EventRedemptionUnknown:
		status, statusID = "Unknown", 0
	case refusedType(t.Type) && t.Type != gatekeeper.EventRequestDenied: // a person's no went well
		status, statusID = "Failure", 2
	}
	severity, severityID := ocsfSeverity(t.Event)
	unmapped := object{"state": t.State, "data": t.Data, "leaf_hash": t.hash}
	out := object{
		"category_uid": 3, "category_name": "Identity & Access Management", "class_uid": class, "class_name": className,
		"activity_id": activity, "activity_name": activityName, "type_uid": class*100 + activity,
		"time": t.Time.UnixMilli(), "severity_id": severityID, "severity": severity, "status_id": statusID, "status": status,
		"message": string(t.Type) + " " + Tell(t.Event), "metadata": f.ocsfMetadata(t.ID, string(t.Type), t.Request, t.index),
		"actor": ocsfActor(t.Actor), "unmapped": unmapped,
	}
	if detail := cmp.Or(text(t.Event, "refused"), text(t.Event, "detail")); detail != "" {
		out["status_detail"] = flat(detail)
	}
	if len(t.body) > 0 {
		out["raw_data"] = string(t.body) // the bytes that the leaf's hash is made of
	} else {
		unmapped["pruned"] = true
	}
	return out
}

func ocsfSeverity(e gatekeeper.Event) (string, int) {
	switch {
	case e.Type == gatekeeper.EventRequestBreakGlass || e.Data["break_glass"] == true:
		return "High", 4
	case refusedType(e.Type) && e.Type != gatekeeper.EventRequestDenied:
		return "Medium", 3
	}
	return "Informational", 1
}

func (f Format) ocsfMetadata(id, code, request string, index int64) object {
	m := object{
		"version": OCSFVersion, "uid": id, "sequence": index, "event_code": code, "log_name": "ledger", "log_provider": f.Source,
		"product": object{"name": "Gatekeeper", "vendor_name": "Gatekeeper", "version": f.Version},
	}
	if request != "" {
		m["correlation_uid"] = request
	}
	return m
}

func ocsfActor(a gatekeeper.Actor) object {
	if a.Kind == "gatekeeper" || a.ID == "" {
		return object{"app_name": "Gatekeeper", "app_uid": a.ID}
	}
	user := object{"uid": a.ID, "type_id": 1, "type": "User"}
	if a.Kind == "workload" {
		user["type_id"], user["type"] = 4, "Service"
	}
	if a.Name != "" {
		user["name"] = flat(a.Name)
	}
	return object{"user": user}
}

// ocsfSubject is what an event is about.
func ocsfSubject(t told) object {
	kind, _, _ := strings.Cut(string(t.Type), ".")
	switch {
	case t.Request != "":
		e := object{"uid": t.Request, "type_id": 99, "type": "Deployment request"}
		if environment := text(t.Event, "environment"); environment != "" {
			e["name"] = flat(environment)
		}
		return e
	case kind == "rules":
		policy := object{"name": "rules"}
		if digest := text(t.Event, "digest"); digest != "" {
			policy["uid"] = digest
		}
		return object{"name": "rules", "type_id": 5, "type": "Policy", "policy": policy}
	}
	return object{"name": kind, "uid": t.ID, "type_id": 99, "type": kind}
}

func (f Format) ocsfCheckpoint(r Record, head Head, note []byte) ([]byte, error) {
	t := told{Event: gatekeeper.Event{ID: r.ID, Type: checkpointType, Time: r.Time, Actor: gatekeeper.Actor{Kind: "gatekeeper", ID: "ledger"}}, index: r.Index}
	out := f.ocsfBase(t, ocsfEntity, "Entity Management", 3, "Update")
	out["entity"] = object{"name": "ledger", "uid": head.Origin, "type_id": 99, "type": "ledger"}
	out["unmapped"] = checkpointData(head, note)
	return json.Marshal(out)
}
