-- +goose Up
-- Moves that are watched at their targets, which a plan follows also when it has ended.
CREATE INDEX plan_moves_moved ON plan_moves (move_id, plan_id) WHERE state = 'moved';
